-- Of subjects that are due at one instant, as all are that came together, the one whose first open
-- event came first goes first: a clock that was moved counts for what came after it.
ALTER TABLE inbox_subject ADD COLUMN head BIGINT NOT NULL DEFAULT 0;
UPDATE inbox_subject SET head = coalesce((
  SELECT min(inbox.seq) FROM inbox
  WHERE inbox.source = inbox_subject.source AND inbox.subject = inbox_subject.subject
    AND inbox.state IN ('waiting', 'dead')
), 0);
DROP INDEX inbox_subject_due_ix;
CREATE INDEX inbox_subject_due_ix ON inbox_subject (due_at, head) WHERE due_at IS NOT NULL;
