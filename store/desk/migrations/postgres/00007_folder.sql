-- Which folder of batches all servers work in.

CREATE TABLE batch_folder (
    one bigint NOT NULL PRIMARY KEY CHECK (one = 1),
    id  text COLLATE "C" NOT NULL
);
