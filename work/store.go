package work

import (
	"context"
	"time"
)

// A Store keeps items. Its methods may be called from any number of goroutines and
// processes. Errors other than those of this package leave open what was stored.
type Store interface {
	// AddItem stores a new item, at revision 1, with its first event. It returns
	// [ErrBusy] if the record has an open item of the programme.
	AddItem(ctx context.Context, i Item, e Event) error

	// SaveItem stores c.Item over the stored one of its revision, which it raises, with
	// an event and what else c says, all or nothing. It returns [ErrMoved] if that
	// revision is not the stored one, and ErrNoItem if there is no such item.
	SaveItem(ctx context.Context, c Change) error

	// Item returns an item of an office, or ErrNoItem. With office "" it is that of any.
	Item(ctx context.Context, office, id string) (Item, error)

	// Items returns items by how long ago they were changed last, the oldest first.
	Items(ctx context.Context, q ItemQuery) ([]Item, error)

	// CountItems counts the open items of an office by state, those of changes apart:
	// under ToChange.
	CountItems(ctx context.Context, office string) (map[Queue]int, error)

	// DueItems returns the ids of at most limit items that are agreed, due, and taken on
	// by nobody, or by a worker whose time is up.
	DueItems(ctx context.Context, now time.Time, limit int) ([]string, error)

	// ItemEvents returns the events of an item, or of every item of a record, in order.
	ItemEvents(ctx context.Context, q EventQuery) ([]Event, error)

	// Print returns the sealed print of an item, or [ErrNoPrint].
	Print(ctx context.Context, item string) ([]byte, error)

	// SweepItems erases prints whose items expired before now, and items with their
	// events that were closed before a moment. It returns the ids of items that are
	// Signed and lost their print.
	SweepItems(ctx context.Context, now, closed time.Time) ([]string, error)
}

// A Change is one change of an item.
type Change struct {
	Item  Item
	Event Event // none if its Deed is ""
	// Print is stored with the item; nil leaves what there is. ErasePrint removes it.
	Print      []byte
	ErasePrint bool
}

// An ItemQuery selects items. A zero field selects nothing away.
type ItemQuery struct {
	// Office must be set.
	Office string
	Queue  Queue
	// Programme and Record select the items of a record, open or not.
	Programme, Record string
	// After continues behind this item, as it was returned.
	After *Item
	// Limit must be set.
	Limit int
}

// An EventQuery selects events: of an item, or of all items of a record in an office.
type EventQuery struct {
	Item                      string
	Office, Programme, Record string
}

// An Index finds records by keyed hashes. It can be erased and built again at any time.
type Index interface {
	// IndexState returns what is kept of a programme's records; the zero value if
	// nothing is.
	IndexState(ctx context.Context, programme string) (IndexState, error)

	// BeginIndex begins to build a new generation beside the one that is searched, and
	// clears away what an earlier try left. It returns its number, which is also the
	// right to change the index, and ErrBusy while another worker, whose time is not up,
	// builds or changes.
	BeginIndex(ctx context.Context, programme, worker string, now, until time.Time) (turn int64, err error)

	// PutIndex removes records from a generation and adds others. It returns ErrMoved if
	// somebody else has begun since.
	PutIndex(ctx context.Context, p IndexPart) error

	// FinishIndex makes s.Generation the one that is searched, with this state, and
	// removes the others. It counts s.Records itself. It returns ErrMoved if somebody
	// else has begun since.
	FinishIndex(ctx context.Context, programme string, turn int64, s IndexState) error

	// DropIndex erases everything about a programme's records.
	DropIndex(ctx context.Context, programme string) error

	// FindRecords returns records in which each of the words is found: each has one of
	// its keys. Only records of the office are looked at.
	FindRecords(ctx context.Context, q FindQuery) ([]Hit, error)
}

// IndexState says what an index was built from.
type IndexState struct {
	// Generation is the one that is searched, 0 if none is.
	Generation int64
	// Made is what it was made of: source, programme, offices, rules of folding.
	Made string
	// Mark is where to go on in the source, nil if it has to be read anew.
	Mark []byte
	// Records are how many there are, Skipped those that could not be read.
	Records, Skipped int64
	// Built is when it was complete.
	Built time.Time
	// Worker builds or changes it until Until; Building are the records so far.
	Worker   string
	Until    time.Time
	Building int64
}

// An IndexPart is a part of a generation.
type IndexPart struct {
	Programme string
	// Turn is the number that BeginIndex returned, Generation what is changed.
	Turn, Generation int64
	Remove           []string
	Put              []Entry
	// Until is until when the worker now has it, Records how many records it has put.
	Until   time.Time
	Records int64
}

// An Entry is a record as the index keeps it.
type Entry struct {
	Record  string
	Offices []string
	Keys    []int64
}

// A FindQuery selects records.
type FindQuery struct {
	Programme, Office string
	// Others turns Office round: records that are not of it.
	Others bool
	// Words are keys, of which each word needs one.
	Words [][]int64
	// After continues behind this hit.
	After int64
	Limit int
}

// A Hit is a record that was found. N orders hits.
type Hit struct {
	N      int64
	Record string
}
