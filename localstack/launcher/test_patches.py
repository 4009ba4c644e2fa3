"""Tests of the launcher. They need MiniStack, so they run in its environment."""

import asyncio
import json
import os
import pathlib
import threading
import time
import types
import unittest
from unittest import mock

import launch
import patches
from ministack.services import dynamodb, eventbridge, iam, lambda_svc, secretsmanager, sqs, stepfunctions, sts
from ministack.services.cloudformation import provisioners

patches.apply_all()


def answer(reply) -> tuple:
    """Returns the status and the error type of a reply."""
    return reply[0], json.loads(reply[2]).get("__type", "")


class Gate:
    """A task on a thread of its own that waits for its token."""

    def __init__(self, state: dict, given=None, function=lambda event: None):
        self.result, self.error = None, None
        self.tokens = []
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": {"FunctionName": "f", "Payload": {"token.$": "$$.Task.Token"}},
            "End": True,
        } | state

        def invoke(_, event):
            self.tokens.append(event["token"])
            return function(event)

        def run():
            ctx = {"State": {"Name": "Ask"}, "variables": {}}
            try:
                self.result = stepfunctions._execute_task(state, given or {}, {"events": []}, ctx)
            except stepfunctions._ExecutionError as err:
                self.error = err.error

        self.fakes = mock.patch.multiple(
            stepfunctions,
            _call_lambda=invoke,
            _resolve_lambda_function_ref=lambda ref, optimized: ref,
            _add_event=lambda *_: None,
        )
        self.fakes.start()
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def token(self) -> str:
        """Waits until the token is parked, and returns it."""
        end = time.monotonic() + 5
        while not self.tokens and time.monotonic() < end:
            time.sleep(0.001)
        return self.tokens[0]

    def join(self) -> None:
        self.thread.join(5)
        self.fakes.stop()
        if self.thread.is_alive():
            raise AssertionError("the task still waits")


def succeed(token: str, output: str = "{}") -> tuple:
    return answer(stepfunctions._send_task_success({"taskToken": token, "output": output}))


class TaskTokens(unittest.TestCase):
    def test_a_callback_ends_the_task(self):
        gate = Gate({})
        self.assertEqual(succeed(gate.token(), '{"a": 1}'), (200, ""))
        gate.join()
        self.assertEqual(gate.result[0], {"a": 1})

    def test_a_used_token_is_timed_out(self):
        gate = Gate({})
        succeed(gate.token())
        gate.join()
        self.assertEqual(succeed(gate.token()), (400, "TaskTimedOut"))

    def test_an_expired_token_is_timed_out(self):
        gate = Gate({"TimeoutSeconds": 0.01})
        gate.join()
        self.assertEqual(gate.error, "States.Timeout")
        self.assertEqual(succeed(gate.token()), (400, "TaskTimedOut"))

    def test_an_unknown_token_does_not_exist(self):
        self.assertEqual(succeed("never seen"), (400, "TaskDoesNotExist"))

    def test_an_output_that_is_not_json_is_refused_and_the_task_still_waits(self):
        gate = Gate({})
        self.assertEqual(succeed(gate.token(), "{"), (400, "InvalidOutput"))
        self.assertEqual(succeed(gate.token()), (200, ""))
        gate.join()

    def test_the_timeout_is_read_from_the_input(self):
        gate = Gate({"TimeoutSecondsPath": "$.seconds"}, {"seconds": 1})
        gate.join()
        self.assertEqual(gate.error, "States.Timeout")

    def test_a_timeout_that_is_not_a_number_fails_the_run(self):
        gate = Gate({"TimeoutSecondsPath": "$.seconds"}, {"seconds": "soon"})
        gate.join()
        self.assertEqual(gate.error, "States.Runtime")

    def test_a_function_that_fails_fails_the_task(self):
        def broken(_):
            raise stepfunctions._ExecutionError("Broken", "on purpose")

        gate = Gate({}, function=broken)
        gate.join()
        self.assertEqual(gate.error, "Broken")

    def test_each_attempt_has_its_own_token(self):
        def broken(_):
            raise stepfunctions._ExecutionError("Broken", "on purpose")

        retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 0, "MaxAttempts": 2}
        gate = Gate({"Retry": [retry]}, function=broken)
        gate.join()
        self.assertEqual(len(set(gate.tokens)), 3)


class Patches(unittest.TestCase):
    def test_a_misfit_names_patch_and_version(self):
        with self.assertRaises(patches.Misfit) as caught:
            patches.rewrite("my_patch", stepfunctions._stop_execution, "no such text", "")
        for part in ("my_patch", patches.TESTED, "requirements.txt"):
            self.assertIn(part, str(caught.exception))

    def test_executions_start_without_a_sleep(self):
        stepfunctions._executions["arn"] = {"stateMachineArn": "gone"}
        self.addCleanup(stepfunctions._executions.clear)
        began = time.monotonic()
        with mock.patch.object(stepfunctions, "_fail_execution") as failed:
            stepfunctions._run_execution("arn")
        failed.assert_called_once()
        self.assertLess(time.monotonic() - began, 0.1)

    def test_a_replay_goes_only_to_its_rules(self):
        self.addCleanup(eventbridge.reset)
        arns, bus = {}, json.loads(eventbridge._create_event_bus({"Name": "b"})[2])["EventBusArn"]
        for name in ("one", "two"):
            rule = {"Name": name, "EventBusName": "b", "EventPattern": '{"source": ["psa"]}'}
            arns[name] = json.loads(eventbridge._put_rule(rule)[2])["RuleArn"]
            target = {"Id": "t", "Arn": f"arn:aws:sqs:us-east-1:000000000000:{name}"}
            eventbridge._put_targets({"Rule": name, "EventBusName": "b", "Targets": [target]})
        archive = json.loads(eventbridge._create_archive({"ArchiveName": "a", "EventSourceArn": bus})[2])["ArchiveArn"]

        def replayed(name, rules):
            reached = []
            entry = {"EventBusName": "b", "Source": "psa", "DetailType": "t", "Detail": "{}"}

            def invoke(target, *_):
                reached.append(target["Arn"].rsplit(":")[-1])

            with mock.patch.object(eventbridge, "_invoke_target", invoke):
                eventbridge._put_events({"Entries": [entry]})
                reached.clear()
                eventbridge._start_replay({
                    "ReplayName": name, "EventSourceArn": archive, "EventStartTime": 0, "EventEndTime": 1e12,
                    "Destination": {"Arn": bus} | rules,
                })
                end = time.monotonic() + 5
                while eventbridge._replays[name]["State"] != "COMPLETED" and time.monotonic() < end:
                    time.sleep(0.001)
            return sorted(set(reached))

        self.assertEqual(replayed("r1", {}), ["one", "two"])
        self.assertEqual(replayed("r2", {"FilterArns": [arns["two"]]}), ["two"])

    def test_a_bus_with_a_policy_takes_a_source_from_its_publisher_only(self):
        self.addCleanup(eventbridge.reset)
        self.addCleanup(iam.reset)
        self.addCleanup(sts.reset)
        account = "arn:aws:iam::000000000000"

        def role(name, source, bus="guarded"):
            iam._roles[name] = {"Arn": f"{account}:role/{name}", "InlinePolicies": {"p": {"Statement": [{
                "Effect": "Allow", "Action": "events:PutEvents",
                "Resource": f"arn:aws:events:us-east-1:000000000000:event-bus/{bus}",
                "Condition": {"ForAllValues:StringEquals": {"events:source": source}, "Null": {"events:source": "false"}},
            }]}}}

        role("psa", "psa")
        role("any", ["psa", "rmm", "hub"])
        role("elsewhere", "psa", bus="open")
        iam._roles["admin"] = {"Arn": f"{account}:role/admin", "InlinePolicies": {"p": {"Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
        ]}}}
        deny = {"Effect": "Deny", "Principal": "*", "Action": "events:PutEvents", "Resource": "*"}
        known = [f"{account}:role/{name}" for name in ("psa", "any", "elsewhere")]
        policy = {"Statement": [
            deny | {"Condition": {"ArnNotEquals": {"aws:PrincipalArn": known}, "BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}},
            deny | {"Condition": {
                "ArnEquals": {"aws:PrincipalArn": [f"{account}:role/any"]}, "ForAnyValue:StringNotEquals": {"events:source": "rmm"},
            }},
        ]}
        provisioners._provision_resource("AWS::Events::EventBus", "Guarded", {"Name": "guarded", "Policy": policy}, "s")
        provisioners._provision_resource("AWS::Events::EventBus", "Open", {"Name": "open"}, "s")

        def put(key, *entries):
            headers = {"x-amz-target": "AWSEvents.PutEvents", "authorization": f"AWS4-HMAC-SHA256 Credential={key}/20260309/us-east-1/events/aws4_request"}
            body = {"Entries": [{"EventBusName": bus, "DetailType": "t", "Detail": "{}"} | ({"Source": source} if source else {}) for bus, source in entries]}
            reply = asyncio.run(eventbridge.handle_request("POST", "/", headers, json.dumps(body), {}))
            return answer(reply)[1] if reply[0] != 200 else json.loads(reply[2])["FailedEntryCount"]

        for name in ("psa", "any", "elsewhere", "admin", "gone"):
            sts.register_session("ASIA" + name.upper(), {
                "Arn": f"arn:aws:sts::000000000000:assumed-role/{name}/session", "SecretAccessKey": "s", "SessionToken": "t",
            })
        refused = "AccessDeniedException"
        for key, entries, want in (
            ("ASIAPSA", [("guarded", "psa")], 0),
            ("ASIAPSA", [("guarded", "rmm")], refused),
            ("ASIAPSA", [("guarded", "psa"), ("guarded", "rmm")], refused),
            ("ASIAPSA", [("guarded", "psa"), ("guarded", None)], 0),
            ("ASIAPSA", [("guarded", None)], refused),
            ("ASIAPSA", [("guarded", "PSA")], refused),
            ("ASIAPSA", [("open", "anything")], 0),
            ("ASIAANY", [("guarded", "rmm")], 0),
            ("ASIAANY", [("guarded", "psa")], refused),
            ("ASIAANY", [("guarded", "rmm"), ("guarded", "psa")], refused),
            ("ASIAELSEWHERE", [("guarded", "psa")], refused),
            ("ASIAADMIN", [("guarded", "psa")], refused),
            ("ASIAGONE", [("guarded", "psa")], refused),
            ("ASIAUNKNOWN", [("guarded", "psa")], refused),
            ("test", [("guarded", "psa")], refused),
            ("", [("guarded", "psa")], refused),
            ("test", [("open", "psa")], 0),
        ):
            self.assertEqual(put(key, *entries), want, f"{key} {entries}")

    def test_a_session_of_a_role_has_its_rights_on_tables_only(self):
        for store in (dynamodb, iam, sts):
            self.addCleanup(store.reset)
        table = "arn:aws:dynamodb:us-east-1:000000000000:table/t"
        iam._roles["reader"] = {"Arn": "arn:aws:iam::000000000000:role/reader", "InlinePolicies": {"p": {"Statement": [
            {"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"], "Resource": [table, table + "/index/*"]},
            {"Effect": "Allow", "Action": "dynamodb:UpdateItem", "Resource": table, "Condition": {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": "ORG#*#RATE"},
                "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "sk", "w"]},
                "StringEqualsIfExists": {"dynamodb:ReturnValues": ["NONE", "UPDATED_NEW"]},
                "Null": {"dynamodb:LeadingKeys": "false", "dynamodb:Attributes": "false"},
            }},
        ]}}}
        sts.register_session("ASIAREADER", {
            "Arn": "arn:aws:sts::000000000000:assumed-role/reader/s", "SecretAccessKey": "s", "SessionToken": "t",
        })

        def call(key, action, body):
            headers = {"x-amz-target": f"DynamoDB_20120810.{action}", "authorization": f"AWS4-HMAC-SHA256 Credential={key}/20260309/us-east-1/dynamodb/aws4_request"}
            return answer(asyncio.run(dynamodb.handle_request("POST", "/", headers, json.dumps(body).encode(), {})))[1].rpartition("#")[2]

        def item(pk="ORG#org_a#RATE"):
            return {"TableName": "t", "Key": {"pk": {"S": pk}, "sk": {"S": "x"}}}

        def count(pk="ORG#org_a#RATE", name="w", **more):
            return item(pk) | {"UpdateExpression": "SET #w = :n", "ExpressionAttributeNames": {"#w": name}, "ExpressionAttributeValues": {":n": {"N": "1"}}} | more

        denied, missing = "AccessDeniedException", "ResourceNotFoundException"  # there is no table: the call itself went through
        query = {"TableName": "t", "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
        for action, body, want in (
            ("GetItem", item(), missing),
            ("Query", query, missing),
            ("Query", query | {"IndexName": "open"}, missing),
            ("Query", query | {"TableName": "other"}, denied),
            ("Scan", {"TableName": "t"}, denied),
            ("PutItem", {"TableName": "t", "Item": item()["Key"]}, denied),
            ("DeleteItem", item(), denied),
            ("BatchWriteItem", {"RequestItems": {"t": [{"DeleteRequest": {"Key": item()["Key"]}}]}}, denied),
            ("TransactWriteItems", {"TransactItems": [{"ConditionCheck": item() | {"ConditionExpression": "attribute_exists(pk)"}}]}, denied),
            ("TransactWriteItems", {"TransactItems": [{"Update": count()}, {"Delete": item()}]}, denied),
            ("UpdateItem", count(), missing),
            ("UpdateItem", count(ReturnValues="UPDATED_NEW"), missing),
            ("UpdateItem", count(ReturnValues="ALL_OLD"), denied),
            ("UpdateItem", count(pk="ORG#org_a"), denied),
            ("UpdateItem", count(name="plan"), denied),
        ):
            self.assertEqual(call("ASIAREADER", action, body), want, f"{action} {body}")
            self.assertNotEqual(call("test", action, body), denied, f"{action} by a tool")

    def test_a_session_of_a_role_makes_the_calls_of_its_role_only(self):
        for store in (iam, sts, secretsmanager):
            self.addCleanup(store.reset)
        self.addCleanup(patches.machines.clear)
        secretsmanager._create_secret({"Name": "seed", "SecretString": "x"})
        secretsmanager._create_secret({"Name": "other", "SecretString": "x"})
        secret = secretsmanager._resolve("seed")[1]["ARN"]
        where = "us-east-1:000000000000"
        iam._roles["caller"] = {"Arn": "arn:aws:iam::000000000000:role/caller", "InlinePolicies": {"p": {"Statement": [
            {"Effect": "Allow", "Action": "states:StartExecution", "Resource": f"arn:aws:states:{where}:stateMachine:runs"},
            {"Effect": "Allow", "Action": "states:SendTaskSuccess", "Resource": f"arn:aws:states:{where}:stateMachine:waits"},
            {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": f"arn:aws:sqs:{where}:letters"},
            {"Effect": "Allow", "Action": "sns:Publish", "NotResource": "arn:*:sns:*:*:*"},
            {"Effect": "Allow", "Action": "ses:SendEmail", "Resource": f"arn:aws:ses:{where}:identity/agents.example"},
            {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secret[:-6] + "??????"},
        ]}}}
        sts.register_session("ASIACALLER", {
            "Arn": "arn:aws:sts::000000000000:assumed-role/caller/s", "SecretAccessKey": "s", "SessionToken": "t",
        })
        patches.machines.update(ours=f"arn:aws:states:{where}:stateMachine:waits", theirs=f"arn:aws:states:{where}:stateMachine:runs")

        def denied(key, service, target, body, path="/"):
            headers = {"authorization": f"AWS4-HMAC-SHA256 Credential={key}/20260309/us-east-1/{service}/aws4_request"}
            if target:
                headers |= {"x-amz-target": target, "content-type": "application/x-amz-json-1.0"}
            elif service == "sns":
                headers["content-type"] = "application/x-www-form-urlencoded"
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            status, _, said = asyncio.run(patches.app._dispatch_service_request("POST", path, headers, text, {}, "r"))
            return status in (400, 403) and b"not authorized to perform" in said

        for service, target, body, path, want in (
            ("states", "AWSStepFunctions.StartExecution", {"stateMachineArn": f"arn:aws:states:{where}:stateMachine:runs"}, "/", False),
            ("states", "AWSStepFunctions.StartExecution", {"stateMachineArn": f"arn:aws:states:{where}:stateMachine:other"}, "/", True),
            ("states", "AWSStepFunctions.ListExecutions", {"stateMachineArn": f"arn:aws:states:{where}:stateMachine:runs"}, "/", True),
            ("states", "AWSStepFunctions.SendTaskSuccess", {"taskToken": "ours", "output": "{}"}, "/", False),
            ("states", "AWSStepFunctions.SendTaskSuccess", {"taskToken": "theirs", "output": "{}"}, "/", True),
            ("states", "AWSStepFunctions.SendTaskSuccess", {"taskToken": "of an emulator before", "output": "{}"}, "/", False),
            ("states", "AWSStepFunctions.SendTaskFailure", {"taskToken": "ours"}, "/", True),
            ("sqs", "AmazonSQS.SendMessage", {"QueueUrl": "http://localhost:4566/000000000000/letters", "MessageBody": "x"}, "/", False),
            ("sqs", "AmazonSQS.SendMessage", {"QueueUrl": "http://localhost:4566/000000000000/events", "MessageBody": "x"}, "/", True),
            ("sqs", "AmazonSQS.PurgeQueue", {"QueueUrl": "http://localhost:4566/000000000000/letters"}, "/", True),
            ("sns", "", b"Action=Publish&PhoneNumber=%2B15550100&Message=x", "/", False),
            ("sns", "", f"Action=Publish&TopicArn=arn:aws:sns:{where}:t&Message=x".encode(), "/", True),
            ("ses", "", {"FromEmailAddress": "Agents <no-reply@agents.example>"}, "/v2/email/outbound-emails", False),
            ("ses", "", {"FromEmailAddress": "no-reply@other.example"}, "/v2/email/outbound-emails", True),
            ("secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": "seed"}, "/", False),
            ("secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": "other"}, "/", True),
            ("s3", "", b"", "/bucket/key", True),
        ):
            self.assertEqual(denied("ASIACALLER", service, target, body, path), want, f"{service} {target} {body} {path}")
            self.assertFalse(denied("test", service, target, body, path), f"{service} {target} by a tool")

    def test_a_move_task_empties_a_dead_letter_queue(self):
        self.addCleanup(sqs.reset)

        def call(action, **body):
            headers = {"x-amz-target": f"AmazonSQS.{action}", "content-type": "application/x-amz-json-1.0"}
            status, _, text = asyncio.run(sqs.handle_request("POST", "/", headers, json.dumps(body).encode(), {}))
            return status, json.loads(text or b"{}")

        def arn(name):
            return f"arn:aws:sqs:us-east-1:000000000000:{name}"

        urls = {}
        for name, attributes in (("dead", {}), ("work", {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn("dead"), "maxReceiveCount": 5})})):
            urls[name] = call("CreateQueue", QueueName=name, Attributes=attributes)[1]["QueueUrl"]
        for n in range(12):
            call("SendMessage", QueueUrl=urls["dead"], MessageBody=f"letter {n}")
        call("ReceiveMessage", QueueUrl=urls["dead"], MaxNumberOfMessages=1)
        self.assertEqual(call("StartMessageMoveTask", SourceArn=arn("work"), DestinationArn=arn("dead"))[0], 400)
        self.assertEqual(call("StartMessageMoveTask", SourceArn=arn("dead"), DestinationArn=arn("gone"))[0], 400)
        status, task = call("StartMessageMoveTask", SourceArn=arn("dead"), DestinationArn=arn("work"))
        self.assertEqual(status, 200, task)
        (shown,) = call("ListMessageMoveTasks", SourceArn=arn("dead"))[1]["Results"]
        self.assertEqual((shown["TaskHandle"], shown["Status"], shown["ApproximateNumberOfMessagesMoved"]), (task["TaskHandle"], "COMPLETED", 11))
        self.assertEqual(len(sqs._queue_by_arn(arn("dead"))["messages"]), 1)
        self.assertEqual(
            sorted(m["body"] for m in sqs._queue_by_arn(arn("work"))["messages"]), sorted(f"letter {n}" for n in range(1, 12))
        )

    def test_a_changed_policy_of_a_bus_is_kept(self):
        self.addCleanup(eventbridge.reset)
        policy = {"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "events:PutEvents", "Resource": "*"}]}
        provisioners._provision_resource("AWS::Events::EventBus", "Bus", {"Name": "b"}, "s")
        for props, want in (({"Name": "b", "Policy": policy}, policy), ({"Name": "b"}, None)):
            provisioners._eb_event_bus_update("b", {}, props, "s")
            described = json.loads(eventbridge._describe_event_bus({"Name": "b"})[2])
            self.assertEqual(json.loads(described.get("Policy", "null")), want)

    def test_a_function_has_a_session_of_its_role(self):
        self.addCleanup(sts.reset)
        got = patches.lambda_runtime.execution_credentials({
            "FunctionName": "f", "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "Role": "arn:aws:iam::000000000000:role/r",
        })
        headers = {"authorization": f"AWS4-HMAC-SHA256 Credential={got['AWS_ACCESS_KEY_ID']}/20260309/us-east-1/events/aws4_request"}
        self.assertEqual(patches.iam_evaluator.request_caller_arn(headers, {}), "arn:aws:sts::000000000000:assumed-role/r/f")

    def test_the_poller_does_not_idle(self):
        self.assertEqual(lambda_svc._ESM_IDLE_WAKE_GAP_SECONDS, 0)

    def test_a_function_has_time_for_a_standstill_of_the_machine(self):
        class Waiting(patches.lambda_runtime.ProvidedWorker):
            def __init__(self):
                super().__init__("f", {"Timeout": 3}, b"")
                self._proc = types.SimpleNamespace(poll=lambda: None, stdout=open("/dev/null"))

        worker, answer = Waiting(), {}
        call = threading.Thread(target=lambda: answer.update(worker.invoke({}, "r")))
        call.start()
        _, _, deadline, _, _ = worker._pending.get(timeout=5)
        self.assertAlmostEqual(deadline / 1000 - time.time(), 3 + patches.STANDSTILL, delta=2)
        worker._record_result(worker._generation, "r", "response", "late")
        call.join(timeout=5)
        self.assertEqual(answer.get("result"), "late")
        worker._proc.stdout.close()

    def test_a_silent_function_costs_no_wait(self):
        class Silent(patches.lambda_runtime.ProvidedWorker):
            def __init__(self):
                super().__init__("f", {}, b"")
                self._proc = types.SimpleNamespace(stdout=open("/dev/null"))

        worker = Silent()
        began = time.monotonic()
        self.assertEqual(worker._drain_stderr_bounded(), "")
        self.assertLess(time.monotonic() - began, 0.02)
        worker._proc.stdout.close()

    def test_a_line_is_collected_however_slow_its_reader_is(self):
        class Busy(patches.lambda_runtime.ProvidedWorker):
            def __init__(self, pipe):
                super().__init__("f", {}, b"")
                self._proc = types.SimpleNamespace(stdout=pipe)
                self._stderr_thread = threading.Thread(target=self.pump, daemon=True)
                self._stderr_thread.start()

            def pump(self):
                for line in self._proc.stdout:
                    time.sleep(0.02)
                    self._stderr_queue.put(line.rstrip("\n"))

        output, function = os.pipe()
        with os.fdopen(output) as pipe, os.fdopen(function, "w") as writer:
            worker = Busy(pipe)
            writer.write("one\ntwo\n")
            writer.flush()
            self.assertEqual(worker._drain_stderr_bounded(), "one\ntwo")
            writer.close()
            worker._stderr_thread.join()

    def test_a_condition_that_was_read_before_is_judged_by_the_values_of_each_call(self):
        def judge(text, item, **values):
            return dynamodb._evaluate_condition(text, item, {f":{k}": {"S": v} for k, v in values.items()}, {"#pk": "pk"})

        for pk, want in (("a", True), ("b", False), ("a", True)):
            self.assertEqual(judge("#pk = :pk", {"pk": {"S": pk}}, pk="a"), want)
        self.assertFalse(judge("#pk = :pk", {"pk": {"S": "a"}}, pk="b"))
        for _ in range(2):
            for slot in ("ConditionExpression", "FilterExpression"):
                with self.assertRaisesRegex(ValueError, f"^Invalid {slot}: Syntax error"):
                    dynamodb._evaluate_condition("#pk = = :pk", {}, {}, {"#pk": "pk"}, slot=slot)
                with self.assertRaisesRegex(ValueError, f"^Invalid {slot}: The expression has redundant parentheses"):
                    dynamodb._evaluate_condition("((#pk = :pk))", {}, {}, {"#pk": "pk"}, slot=slot)

    def test_the_tokens_of_an_expression_are_the_callers_own(self):
        dynamodb._tokenize("#a = :a").clear()
        self.assertEqual([text for _, text in dynamodb._tokenize("#a = :a")], ["#a", "=", ":a", ""])


class ResourcesOfCalls(unittest.TestCase):
    def test_a_body_of_any_bytes_has_the_resource_that_the_call_names(self):
        arn = "arn:aws:s3:::assets/code.zip"
        for body in (b"", b"{", b"{\xef\xbf", b"{}", b"[1]", b"null", b"\xff\xfe{", b'{"SecretId": 7}'):
            self.assertEqual(patches.resources_of("s3:PutObject", arn, {}, body), [arn])

    def test_a_call_whose_body_is_no_object_is_left_to_the_service(self):
        for body in (b"", b"{", b"{\xef", b"[]", b"7"):
            self.assertEqual(patches.resources_of("states:SendTaskSuccess", "*", {}, body), [])
            self.assertEqual(patches.resources_of("secretsmanager:GetSecretValue", "named", {}, body), ["named"])


class Environment(unittest.TestCase):
    def test_functions_do_not_inherit_the_callers_environment(self):
        env = launch.environment(
            4566, pathlib.Path("/state"), {"PATH": "/bin", "AWS_PROFILE": "production", "HTTPS_PROXY": "x"}
        )
        self.assertEqual(env["PATH"], "/bin")
        self.assertNotIn("AWS_PROFILE", env)
        self.assertNotIn("HTTPS_PROXY", env)
        self.assertEqual(env["AWS_ENDPOINT_URL"], "http://127.0.0.1:4566")
        self.assertEqual(env["BIND_HOST"], "127.0.0.1")


if __name__ == "__main__":
    unittest.main()
