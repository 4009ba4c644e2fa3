// Everything on a page can be read without this script. It adds the search, the buttons
// that copy, and the calls of the API.
const bar = document.querySelector('form[role=search]');
const box = document.getElementById('search');
const list = document.getElementById('found');
const count = document.getElementById('count');
const pages = bar.dataset.pages;

// ---- search ----

// Both are loaded when the search gets the focus for the first time.
let index;
async function load() {
	const [{ default: MiniSearch }, entries] = await Promise.all([
		import('./minisearch.js'),
		fetch(new URL('./search.json', import.meta.url)).then((answer) => answer.json()),
	]);
	const all = new MiniSearch({
		fields: ['t', 'p', 'x'],
		storeFields: ['t', 'p', 'u', 'x'],
		idField: 'id',
		tokenize: (text) => text.split(/[\s.,:;!?()[\]{}<>"'`|/=+*#-]+/u).filter(Boolean),
		searchOptions: { boost: { t: 6, p: 1.5 }, prefix: true, fuzzy: (term) => (term.length > 4 ? 0.2 : false), combineWith: 'AND' },
	});
	all.addAll(entries.map((entry, id) => ({ ...entry, id })));
	return all;
}

// around returns the text of an entry near the first word that was searched.
function around(text, words) {
	const lower = text.toLowerCase();
	const at = Math.max(0, ...words.map((word) => lower.indexOf(word)));
	const from = at < 60 ? 0 : text.indexOf(' ', at - 40) + 1;
	return (from > 0 ? '… ' : '') + text.slice(from, from + 140).trim();
}

function close() {
	list.hidden = true;
	box.setAttribute('aria-expanded', 'false');
	box.removeAttribute('aria-activedescendant');
}

async function show() {
	const words = box.value.toLowerCase().split(/\s+/u).filter(Boolean);
	if (words.length === 0) {
		close();
		return;
	}
	let results;
	try {
		index ??= load();
		results = (await index).search(box.value).slice(0, 12);
	} catch {
		index = undefined;
		list.replaceChildren(note('The search could not be loaded. Try again.'));
		list.hidden = false;
		return;
	}
	if (box.value.toLowerCase().split(/\s+/u).filter(Boolean).join() !== words.join()) return; // typed on meanwhile
	list.replaceChildren(...results.map(option.bind(null, words)));
	if (results.length === 0) list.append(note(`Nothing found for “${box.value}”.`));
	count.textContent = results.length === 1 ? '1 result' : `${results.length} results`;
	list.hidden = false;
	box.setAttribute('aria-expanded', 'true');
	select(0);
}

function note(text) {
	const p = document.createElement('p');
	p.textContent = text;
	return p;
}

function option(words, result, at) {
	const link = document.createElement('a');
	link.id = `found-${at}`;
	link.href = result.u === '' ? document.querySelector('.brand').getAttribute('href') : pages + result.u;
	link.setAttribute('role', 'option');
	link.tabIndex = -1;
	link.append(result.t);
	const more = document.createElement('span');
	more.textContent = (result.p === result.t ? '' : `${result.p} · `) + around(result.x, words);
	link.append(more);
	return link;
}

function options() {
	return [...list.querySelectorAll('[role=option]')];
}

function select(at) {
	const all = options();
	if (all.length === 0) return;
	const chosen = all[(at + all.length) % all.length];
	for (const each of all) each.setAttribute('aria-selected', String(each === chosen));
	box.setAttribute('aria-activedescendant', chosen.id);
	chosen.scrollIntoView({ block: 'nearest' });
}

const selected = () => options().findIndex((each) => each.getAttribute('aria-selected') === 'true');

bar.hidden = false;
bar.addEventListener('submit', (event) => {
	event.preventDefault();
	options()[selected()]?.click();
});
box.addEventListener('focus', () => {
	index ??= load();
	index.catch(() => {
		index = undefined;
	});
});
box.addEventListener('input', show);
box.addEventListener('keydown', (event) => {
	if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
		event.preventDefault();
		if (list.hidden) show();
		else select(selected() + (event.key === 'ArrowDown' ? 1 : -1));
	}
	if (event.key === 'Escape') close();
});
list.addEventListener('click', close);
document.addEventListener('pointerdown', (event) => {
	if (!bar.contains(event.target)) close();
});
bar.addEventListener('focusout', (event) => {
	if (event.relatedTarget && !bar.contains(event.relatedTarget)) close();
});
document.addEventListener('keydown', (event) => {
	const typing = event.target instanceof Element && event.target.closest('input, textarea');
	if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
		event.preventDefault();
		box.focus();
	}
});

// A link of the menu that stays on the page closes the menu of a phone.
const menu = document.getElementById('menu');
menu.addEventListener('click', (event) => {
	if (event.target.closest('a') && menu.matches(':popover-open')) menu.hidePopover();
});

// ---- copy ----

for (const code of document.querySelectorAll('main pre > code')) {
	const pre = code.parentElement;
	const frame = document.createElement('div');
	frame.className = 'copied';
	const button = document.createElement('button');
	button.type = 'button';
	button.textContent = 'Copy';
	button.addEventListener('click', async () => {
		try {
			await navigator.clipboard.writeText(code.textContent);
			button.textContent = 'Copied';
		} catch {
			getSelection().selectAllChildren(code);
			button.textContent = 'Selected';
		}
		setTimeout(() => {
			button.textContent = 'Copy';
		}, 2000);
	});
	pre.replaceWith(frame);
	frame.append(pre, button);
}

// ---- calls of the API ----

// The pages and the API have the same base path, wherever the API is mounted.
const base = location.pathname.replace(/\/docs(\/[^/]*)?$/u, '');

function request(form) {
	const headers = {};
	const query = new URLSearchParams();
	let path = form.dataset.path;
	for (const input of form.querySelectorAll('[data-in]')) {
		if (input.value === '' && input.dataset.in !== 'path') continue;
		if (input.dataset.in === 'path') path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
		if (input.dataset.in === 'query') query.set(input.name, input.value);
		if (input.dataset.in === 'header') headers[input.name] = input.value;
	}
	const credential = form.querySelector('[data-credential]')?.value.trim() ?? '';
	if (credential.startsWith('ik_')) headers['X-Integration-Key'] = credential;
	else if (credential) headers.Authorization = `Bearer ${credential}`;
	const init = { method: form.dataset.method, headers, credentials: credential ? 'omit' : 'same-origin' };
	const body = form.querySelector('textarea');
	if (body?.value.trim()) {
		init.body = body.value;
		headers['Content-Type'] = 'application/json';
	}
	return [base + path + (query.size ? `?${query}` : ''), init];
}

async function answer(url, init) {
	const response = await fetch(url, init);
	const head = [`${response.status} ${init.method} ${url}`];
	for (const name of ['x-request-id', 'etag']) {
		if (response.headers.has(name)) head.push(`${name}: ${response.headers.get(name)}`);
	}
	let text = await response.text();
	try {
		text = JSON.stringify(JSON.parse(text), null, 2);
	} catch {
		// not JSON: shown as it is
	}
	return `${head.join('\n')}\n\n${text}`;
}

for (const form of document.querySelectorAll('details.call form')) {
	form.hidden = false;
	form.addEventListener('submit', async (event) => {
		event.preventDefault();
		const out = form.querySelector('pre');
		out.hidden = false;
		out.textContent = '…';
		try {
			out.textContent = await answer(...request(form));
		} catch (error) {
			out.textContent = String(error);
		}
	});
	// A credential that was typed once holds for all calls of the page.
	form.querySelector('[data-credential]')?.addEventListener('input', (event) => {
		for (const other of document.querySelectorAll('[data-credential]')) other.value = event.target.value;
	});
}
