-- What a job does: it issues, or revokes.

ALTER TABLE batch_job ADD COLUMN kind text COLLATE "C" NOT NULL DEFAULT '';
