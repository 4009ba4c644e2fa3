import assert from "node:assert/strict";
import { test } from "node:test";
import { waterfall } from "./waterfall.ts";

const step = (
	step_id: string,
	from: number | null,
	took: number | null,
	step_type: "product_action" | "approval_gate" | "wait" = "product_action",
	status: "completed" | "waiting" | "running" | "pending" = "completed",
) => ({ step_id, step_type, status, started_offset_ms: from, duration_ms: took });

test("steps without waits fill the line in proportion", () => {
	const w = waterfall([step("a", 0, 100), step("b", 100, 300)], 400);
	assert.deepEqual(w.bars.get("a"), { at: 0, width: 25, idle: false });
	assert.deepEqual(w.bars.get("b"), { at: 25, width: 75, idle: false });
	assert.deepEqual(w.folds, []);
});

test("a wait for a person is folded to a break with its length, and the work keeps its proportions", () => {
	const hours = 2 * 3600_000;
	const w = waterfall(
		[step("a", 0, 100), step("gate", 100, hours, "approval_gate"), step("b", 100 + hours, 300)],
		hours + 400,
	);
	assert.equal(w.folds.length, 1);
	assert.equal(w.folds[0]?.label, "2 h");
	const [a, gate, b] = ["a", "gate", "b"].map((id) => w.bars.get(id));
	assert.ok(a && gate && b && gate.idle);
	assert.ok(Math.abs(b.width / a.width - 3) < 1e-9, `${a.width} and ${b.width}`);
	assert.ok(Math.abs(b.at + b.width - 100) < 1e-9);
	assert.ok(Math.abs(gate.width - 12) < 1e-9);
});

test("a short wait is not folded", () => {
	assert.deepEqual(
		waterfall([step("a", 0, 10), step("w", 10, 20_000, "wait"), step("b", 20_010, 10)], 20_020).folds,
		[],
	);
});

test("a step under way reaches to now, and one that has not begun has no bar", () => {
	const w = waterfall(
		[
			step("a", 0, 100),
			step("b", 100, null, "product_action", "running"),
			step("c", null, null, "product_action", "pending"),
		],
		1000,
	);
	assert.deepEqual(w.bars.get("b"), { at: 10, width: 90, idle: false });
	assert.equal(w.bars.has("c"), false);
});

test("a run that waits still is folded up to now", () => {
	const w = waterfall([step("a", 0, 100), step("gate", 100, null, "approval_gate", "waiting")], 3600_000);
	assert.equal(w.folds.length, 1);
	const gate = w.bars.get("gate");
	assert.ok(gate && Math.abs(gate.at + gate.width - 100) < 1e-9);
});

test("no place is outside the line, whatever the steps", () => {
	let seed = 7;
	const random = (n: number) => {
		seed = (seed * 1103515245 + 12345) % 2147483648;
		return seed % n;
	};
	for (let round = 0; round < 500; round++) {
		let at = 0;
		const steps = Array.from({ length: 1 + random(8) }, (_, n) => {
			at += random(5) === 0 ? random(10_000_000) : random(500);
			const took = random(4) === 0 ? random(100_000) : random(300);
			const s = step(`s${n}`, at, took, random(3) === 0 ? "wait" : "product_action");
			at += took;
			return s;
		});
		const w = waterfall(steps, at + random(1000));
		let before = -1;
		for (const s of steps) {
			const bar = w.bars.get(s.step_id);
			assert.ok(
				bar && bar.at >= before - 1e-6 && bar.width >= -1e-9 && bar.at + bar.width <= 100 + 1e-6,
				JSON.stringify({ steps, bar }),
			);
			before = bar.at;
		}
		for (const t of w.ticks) assert.ok(t.at >= 0 && t.at < 95);
	}
});
