-- What a job does: it issues, or revokes.

ALTER TABLE batch_job ADD COLUMN kind TEXT NOT NULL DEFAULT '';
