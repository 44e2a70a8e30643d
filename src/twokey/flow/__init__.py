"""The story, told in the order in which it happens; each stage is a folder.

1. `Intake.receive` keeps a notification as it arrived, and owes its sorting.
2. `Intake.sort` reads it, says whose side it is on, and lets it join an incident or open one (`decide`, `apply`).
3. `Response.acknowledge`, `assign`, `note` and `change_state` are what people do to an incident.
4. `Containment.suggestions` names the runbooks that fit; `preview` makes a plan from reads only.
5. `Containment.propose` stores the plan and asks for its approvals; `approve` gives one to exactly that plan.
6. `reject`, `withdraw` and `expire` end it without a run; `break_glass` runs it on one approval, `confirm` owed.
7. `Executor.execute` claims the run (`claim.claim`), if the approvals hold and nothing changed since.
8. Each step is intended on record, done, and read back (`journal.Run`); `outcomes.finish` ends the run,
   and where a step fails the runbook or a person (`Containment.decide`) says how to go on; without a write only two do.
9. What a run has done stands in the register (`register.keep_register`) until an undo takes it out; `Watch.look` asks
   the cloud again and again whether it still holds, and opens the incident when it does not.
10. `Review.draft` makes the post-mortem from the record alone; `revise` and `publish` are a person's.
11. Between all these stand jobs, which `handlers.job_handlers` hands out, and messages, which `outbox` owes.
"""
