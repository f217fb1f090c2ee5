-- A finished batch may have one print that is being made: 1 while it is.

ALTER TABLE batch_job ADD COLUMN printing bigint NOT NULL DEFAULT 0;
CREATE INDEX batch_job_printing ON batch_job (id) WHERE printing = 1;
