-- Which folder of batches all servers work in.

CREATE TABLE batch_folder (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id  TEXT NOT NULL
) STRICT;
