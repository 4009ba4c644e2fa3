"""Tests the Python client that openapi-python-client generates.

    story.py OUTPUTS

OUTPUTS is the file with the system's addresses. A user creates an agent and
activates it, a product publishes an event, the user approves the run's gate and
reads its trace. A program with an integration key reads the agent, and its request
for another key is refused. All values have the client's own types, which mypy
--strict checks: a cast that becomes necessary here is a fault of the document.
"""

import json
import pathlib
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import TypeVar

from one_agents.api.agents import create_agent, get_agent, list_activity, list_agents, update_agent
from one_agents.api.approvals import decide_approval, get_approval, list_approvals
from one_agents.api.credits_ import get_credits
from one_agents.api.executions import get_execution, list_executions
from one_agents.api.keys import create_key
from one_agents.client import AuthenticatedClient, Client
from one_agents.models import (
    AIStep,
    AIStepOutputSchema,
    AIStepType,
    ActionStep,
    ActionStepParams,
    ActionStepType,
    Agent,
    AgentInput,
    AgentPatch,
    AgentPatchStatus,
    AgentStatus,
    ApprovalStatus,
    Category,
    Comparison,
    ConditionContext,
    Credits,
    Decision,
    DecisionInput,
    Error,
    ExecutionDetail,
    ExecutionStatus,
    Filter,
    GateStep,
    GateStepType,
    KeyAccess,
    KeyInput,
    ModelTier,
    Operator,
    Outcome,
    StepStatus,
    Trigger,
    TriggerType,
)

PATIENCE = 60  # seconds until a condition must hold
LOCAL = ".local/bin/local"

T = TypeVar("T")


class Org:
    """An organization, and the products that publish its events."""

    def __init__(self, state: pathlib.Path) -> None:
        self.state = state
        self.name = "org_" + secrets.token_hex(8)

    def local(self, command: str, *args: str) -> str:
        run = [LOCAL, command, "-state", str(self.state), "-org", self.name, *args]
        return subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def publish(self, product: str, event_type: str, payload: dict[str, str]) -> str:
        """Puts an event on the bus and returns its id."""
        event = {"event_type": event_type, "source_product": product, "org_id": self.name, "payload": payload}
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(event, file)
            file.flush()
            return self.local("publish", "-file", file.name)


def must(answer: T | Error | None, operation: str) -> T:
    """Returns an answer that is not an error."""
    if answer is None or isinstance(answer, Error):
        sys.exit(f"{operation}: {answer}")
    return answer


def eventually(condition: str, look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.1)
    sys.exit(f"not within {PATIENCE} s: {condition}")


def check(holds: bool, found: object) -> None:
    if not holds:
        sys.exit(f"wrong: {found}")


def definition() -> AgentInput:
    schema = {"type": "object", "required": ["summary"], "properties": {"summary": {"type": "string"}}}
    return AgentInput(
        name="Note every P1",
        category=Category.SERVICE_DESK,
        trigger=Trigger(
            type_=TriggerType.BUS_EVENT,
            source_product="psa",
            event_type="ticket.escalated",
            filters=[Filter(field="escalated_to", operator=Operator.IN, value=["p1", "p2"])],
        ),
        steps=[
            AIStep(
                id="summarize",
                type_=AIStepType.AI_REASON,
                model=ModelTier.QUICK,
                prompt="Summarize {{ event_payload.reason }}",
                output_schema=AIStepOutputSchema.from_dict(schema),
            ),
            GateStep(id="confirm", type_=GateStepType.APPROVAL_GATE, message="Add a note to {{ event_payload.ticket_id }}?"),
            ActionStep(
                id="note",
                type_=ActionStepType.PRODUCT_ACTION,
                product="psa",
                action="add_note",
                params=ActionStepParams.from_dict({"ticket_id": "{{ event_payload.ticket_id }}", "body": "Seen."}),
                if_=Comparison(
                    context=ConditionContext.RUN,
                    field="steps.summarize.output.summary",
                    operator=Operator.EXISTS,
                    value=True,
                ),
            ),
        ],
    )


def activated(client: AuthenticatedClient) -> Agent:
    """Creates an agent and activates it with its ETag in If-Match."""
    made = create_agent.sync_detailed(client=client, body=definition())
    agent = must(made.parsed, "create")
    check(agent.status == AgentStatus.DRAFT and agent.version == 1, agent)
    step = agent.steps[2]
    check(isinstance(step, ActionStep) and isinstance(step.if_, Comparison) and step.if_.value is True, step)
    patch = AgentPatch(status=AgentPatchStatus.ACTIVE)
    stale = update_agent.sync(agent.id, client=client, body=patch, if_match='"7"')
    check(isinstance(stale, Error) and stale.error == "precondition_failed", stale)
    active = must(update_agent.sync(agent.id, client=client, body=patch, if_match=made.headers["ETag"]), "activate")
    check(active.status == AgentStatus.ACTIVE, active)
    return active


def approved(client: AuthenticatedClient, agent: Agent) -> str:
    """Waits until the agent's run waits for an approval, approves it, and returns
    the run's id."""

    def asking() -> str | None:
        status = [ExecutionStatus.WAITING_APPROVAL, ExecutionStatus.FAILED]
        page = must(list_executions.sync(client=client, agent_id=agent.id, status=status), "list")
        # The total is counted by a read of its own, which may see the run first.
        return page.executions[0].id if page.total == 1 and page.executions else None

    run = eventually("the run waits for an approval", asking)
    page = must(list_approvals.sync(client=client, status=ApprovalStatus.PENDING), "approvals")
    check(len(page.approvals) == 1 and page.approvals[0].execution_id == run, page)
    approval = must(get_approval.sync(page.approvals[0].id, client=client), "approval")
    check([a.action for a in approval.shows.actions] == ["add_note"], approval.shows)
    body = DecisionInput(decision=Decision.APPROVED, note="Go — all of it.")
    decided = must(decide_approval.sync(approval.id, client=client, body=body), "decide")
    check(decided.status == ApprovalStatus.APPROVED and decided.votes[0].note == "Go — all of it.", decided)
    return run


def inspected(client: AuthenticatedClient, agent: Agent, event: str, run: str) -> None:
    """Reads the run's trace, credits and activity."""

    def ended() -> ExecutionDetail | None:
        found = must(get_execution.sync(run, client=client), "execution")
        return found if found.completed_at is not None else None

    execution = eventually("the run ends", ended)
    check(execution.status == ExecutionStatus.COMPLETED and execution.trigger_event.id == event, execution)
    check([s.step_id for s in execution.steps] == ["summarize", "confirm", "note"], execution.steps)
    check(all(s.status == StepStatus.COMPLETED for s in execution.steps), execution.steps)
    check(execution.credits_used == execution.steps[0].credits_used == 5, execution)
    check(execution.trigger_event.payload["ticket_id"] == "tkt_7", execution.trigger_event)

    def summed() -> Credits | None:
        found = must(get_credits.sync(client=client), "credits")
        return found if agent.id in found.by_agent.additional_properties else None

    credits_ = eventually("the credits are summed", summed)  # a second after the run ends
    check(credits_.by_agent[agent.id] == credits_.by_model.quick == 5, credits_)
    activity = must(list_activity.sync(agent.id, client=client), "activity").activity
    check([(a.outcome, a.execution_id) for a in activity] == [(Outcome.STARTED, run)], activity)


def refused(client: AuthenticatedClient, api: str, agent: Agent) -> None:
    """Reads an unknown agent, creates a key, and sends the key where only a session
    is allowed."""
    none = get_agent.sync("agent_NONE", client=client)
    check(isinstance(none, Error) and (none.error, none.status) == ("agent_not_found", 404), none)
    key = must(create_key.sync(client=client, body=KeyInput(name="story", access=KeyAccess.READ_WRITE)), "key")
    program = Client(base_url=api, headers={"X-Integration-Key": key.key})
    check(must(get_agent.sync(agent.id, client=program), "agent").name == agent.name, agent)
    no = create_key.sync(client=AuthenticatedClient(base_url=api, token=key.key), body=KeyInput(name="b", access=KeyAccess.READ))
    check(isinstance(no, Error) and no.error == "unauthorized", no)


def main() -> None:
    outputs = pathlib.Path(sys.argv[1]).resolve()
    api = json.loads(outputs.read_text())["api_url"]
    org = Org(outputs.parent)
    client = AuthenticatedClient(base_url=api, token=org.local("token", "-role", "owner"))
    org.publish("hub", "org.created", {"plan": "growth"})

    def known() -> bool | None:
        return None if isinstance(list_agents.sync(client=client), Error) else True

    eventually("the organization is known", known)
    agent = activated(client)
    event = org.publish("psa", "ticket.escalated", {"ticket_id": "tkt_7", "escalated_to": "p1", "reason": "Nobody can print."})
    run = approved(client, agent)
    inspected(client, agent, event, run)
    refused(client, api, agent)
    print(f"Python client: {agent.id} ran {run}")


if __name__ == "__main__":
    main()
