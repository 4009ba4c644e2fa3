'use strict';
// The page and the API have the same base path, wherever the API is mounted.
const base = location.pathname.replace(/\/docs\/?$/, '');

function request(form) {
  const headers = {};
  const query = new URLSearchParams();
  let path = form.dataset.path;
  for (const input of form.querySelectorAll('[data-in]')) {
    if (input.value === '' && input.dataset.in !== 'path') continue;
    if (input.dataset.in === 'path') path = path.replace('{' + input.name + '}', encodeURIComponent(input.value));
    if (input.dataset.in === 'query') query.set(input.name, input.value);
    if (input.dataset.in === 'header') headers[input.name] = input.value;
  }
  const credential = document.getElementById('credential').value.trim();
  if (credential.startsWith('ik_')) headers['X-Integration-Key'] = credential;
  else if (credential) headers.Authorization = 'Bearer ' + credential;
  const init = { method: form.dataset.method, headers, credentials: credential ? 'omit' : 'same-origin' };
  const body = form.querySelector('textarea');
  if (body && body.value.trim()) {
    init.body = body.value;
    headers['Content-Type'] = 'application/json';
  }
  return [base + path + (query.size ? '?' + query : ''), init];
}

async function answer(url, init) {
  const res = await fetch(url, init);
  const head = [res.status + ' ' + init.method + ' ' + url];
  for (const name of ['x-request-id', 'etag']) {
    if (res.headers.has(name)) head.push(name + ': ' + res.headers.get(name));
  }
  let text = await res.text();
  try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
  return head.join('\n') + '\n\n' + text;
}

document.addEventListener('submit', async (event) => {
  event.preventDefault();
  const out = event.target.querySelector('pre');
  out.hidden = false;
  out.textContent = '…';
  try { out.textContent = await answer(...request(event.target)); } catch (error) { out.textContent = String(error); }
});

// A link to an operation or a schema opens it.
function reveal() {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
}
addEventListener('hashchange', reveal);
reveal();
