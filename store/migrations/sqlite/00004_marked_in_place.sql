-- Nothing: the version of the tables is the same for both databases, so that what was
-- dumped from one can be loaded into the other. See migrations/postgres.

-- +goose Up
