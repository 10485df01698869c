-- Which webhook sources there are is known to the program alone: a new one is a class. Replicas of before write the names that they know.

ALTER TABLE webhook_events DROP CONSTRAINT webhook_events_source_check;
