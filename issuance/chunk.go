package issuance

import (
	"context"
	"time"
)

// A Chunk is a part of a shared batch: a run of rows that one process takes on
// as a whole.
type Chunk struct {
	// Batch is the batch's id, Number counts its chunks from 0.
	Batch  string
	Number int64
	// First is the number of its first row in the batch, from 1, Rows how many
	// there are.
	First int64
	Rows  int
	// Start says where the source begins to read it, sealed by the issuer, since
	// it may name a record. At most 64 KiB.
	Start []byte
	// Last says that the batch ends with it.
	Last bool

	// Claim counts how often somebody took it on. Only the newest claim counts.
	Claim int64
	// Folder is the folder of the newest claim.
	Folder string
	// Manifest is the length in bytes of that folder's manifest with the chunk.
	Manifest int64
	// Issued, Failed and Skipped divide its rows by outcome.
	Issued, Failed, Skipped int64
	// Done is when it was marked, zero before. A chunk is marked once.
	Done time.Time
}

// A ChunkTx shares a batch out. Of a chunk that was claimed twice the first
// claim is worth nothing from then on, so that a process which was taken for dead
// and wakes up can store nothing more of it.
type ChunkTx interface {
	// AddChunks adds chunks to a shared batch and lines them up for [Queue]. They
	// must follow those that it has without a gap, in Number and First. It returns
	// ErrMoved if they do not, or if the batch is finished, not shared or has its
	// last chunk.
	AddChunks(batch string, chunks []Chunk) error

	// ClaimChunk gives a chunk to a folder: it raises Claim and returns the chunk
	// as it then is. It returns ErrMoved if there is no such chunk, or if it is
	// done.
	ClaimChunk(batch string, number int64, folder string) (Chunk, error)

	// HoldChunk returns ErrMoved if c was claimed again since, or is done.
	HoldChunk(c Chunk) error

	// FinishChunk marks a chunk as done, with the Manifest, Issued, Failed,
	// Skipped and Done of c, adds its rows to the batch and returns that. With the
	// last chunk to be done the batch is finished. It returns ErrMoved as HoldChunk
	// does.
	FinishChunk(c Chunk) (Batch, error)
}

// A Queue hands out the chunks of shared batches, to this process and others.
type Queue interface {
	// Work calls do with chunks of a batch that are not done, up to n at once, in
	// about their order, until ctx ends. It waits for the calls under way and does
	// not end their context. A chunk may be handed out twice, to several
	// processes too; one whose do fails is handed out again, and so is one that a
	// process took which is gone.
	Work(ctx context.Context, batch string, n int, do func(ctx context.Context, chunk int64) error) error
}
