// machines.mjs TEMPLATE: validates the state machines of a CloudFormation template by
// the schema of the States Language.
import { readFileSync } from "node:fs";
import validate from "asl-validator";

const { Resources } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const machines = Object.entries(Resources).filter(([, r]) => r.Type === "AWS::StepFunctions::StateMachine");
let faults = 0;
for (const [id, { Properties }] of machines) {
	// A placeholder of a substitution stands for the ARN of a resource.
	const text = Properties.DefinitionString.replace(/\$\{(\w+)\}/g, "arn:aws:lambda:us-east-1:111122223333:function:$1");
	const { isValid, errors, errorsText } = validate(JSON.parse(text));
	if (!isValid) {
		faults += errors.length;
		console.error(`${id}: ${errorsText("\n")}`);
	}
}
if (machines.length !== 2) {
	console.error(`${machines.length} state machines, want Runs and Waits`);
	faults++;
}
process.exit(faults > 0 ? 1 : 0);
