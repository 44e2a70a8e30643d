"""The story, told in the order in which it happens; each stretch is a file, named like its class.

1. `Intake.receive` keeps a notification as it arrived, and owes its sorting.
2. `Intake.sort` reads it, says whose side it is on, and lets it join an incident or open one.
3. `Response.acknowledge`, `assign`, `note` and `change_state` are what people do to an incident.
4. `Containment.suggestions` names the runbooks that fit; `preview` makes a plan from reads only.
5. `Containment.propose` stores the plan and asks for its keys; `approve` turns one on exactly that plan.
6. `refuse`, `withdraw` and `expire` end it without a run; `break_glass` runs it on one key, `confirm` owed.
7. `Executor.execute` claims the run (`claiming.claim`), if the keys hold and nothing changed since.
8. Each step is intended on record, done, and read back (`journal.Run`); `settling.finish` ends the run,
   and where a step fails the runbook or a person (`Containment.decide`) says how to go on.
9. `Review.draft` makes the post-mortem from the record alone; `revise` and `publish` are a person's.
10. Between all these stand jobs, which `duties.duties` hands out, and messages, which `outbox` owes.
"""
