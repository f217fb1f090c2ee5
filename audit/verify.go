package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Fault is what is wrong with a log. The set is closed.
type Fault string

// What can be wrong with a log.
const (
	// BadKey: the verifier keys cannot be read.
	BadKey Fault = "key"
	// BadCheckpoint: a checkpoint cannot be read or was not signed by a key of
	// the log.
	BadCheckpoint Fault = "checkpoint"
	// OtherLog: an older checkpoint belongs to another log.
	OtherLog Fault = "other_log"
	// WentBack: the log is shorter than it was at an older checkpoint.
	WentBack Fault = "went_back"
	// Rewritten: entries are not those that an older checkpoint was signed over.
	Rewritten Fault = "rewritten"
	// BadEntry: a line is not an entry as Sanad writes it.
	BadEntry Fault = "entry"
	// OutOfOrder: a line has another number than its place, or an earlier time
	// than the line before.
	OutOfOrder Fault = "order"
	// Missing: there are fewer entries than the checkpoint says.
	Missing Fault = "missing"
	// Extra: there is something behind the last entry of the checkpoint.
	Extra Fault = "extra"
	// WrongRoot: entries are not those that the checkpoint was signed over.
	WrongRoot Fault = "root"
)

// A ChangedError is a decision: the log is not what was signed, or not a log.
// Any other error of [Verify] means that no decision was reached.
type ChangedError struct {
	Fault Fault
	// Line is the line of the entries file at which the fault shows, from 1; 0 if
	// it cannot be told.
	Line int64
	// From and To enclose the change: the entries before number From are proven
	// unchanged, and the change lies at or after From and before To. Both are 0
	// if entries are not at fault.
	From, To int64
	// Checkpoint is the older checkpoint that told, counted from 1; 0 for the
	// newest one.
	Checkpoint int
	Detail     string
}

// Error says what is wrong and where.
func (e *ChangedError) Error() string {
	where := ""
	if e.Line > 0 {
		where = fmt.Sprintf(" at line %d", e.Line)
	} else if e.To > e.From {
		where = fmt.Sprintf(" within entries %d to %d", e.From, e.To-1)
	}
	return fmt.Sprintf("audit: log changed (%s)%s: %s", e.Fault, where, e.Detail)
}

// A Report says what [Verify] found good.
type Report struct {
	// Origin names the log, Size and Root are its head.
	Origin string
	Head
	// Signers are the keys that signed the newest checkpoint, as NAME+HASH. An
	// auditor compares them with the keys that the issuer gave out long ago.
	Signers []string
	// First and Last are the times of the first and the last entry; zero for an
	// empty log.
	First, Last time.Time
	// Kinds counts the entries by kind.
	Kinds map[Kind]int64
	// Older are the older checkpoints that the log was found to continue, in the
	// order given.
	Older []Head
}

// Verify checks an exported log: that every line of entries is a proper entry
// in its place, that all of them are what checkpoint was signed over, and that
// the log continues each older checkpoint, so that nothing which was there when
// that one was signed has been changed, removed or put in.
//
// vkeys holds the keys of the log, a line each. Whoever takes them from the
// export itself learns only that the export agrees with itself and with the
// older checkpoints.
//
// It reads entries once, in constant memory.
func Verify(entries io.Reader, checkpoint []byte, vkeys string, older ...[]byte) (Report, error) {
	known, err := parseKeys(vkeys)
	if err != nil {
		return Report{}, &ChangedError{Fault: BadKey, Detail: err.Error()}
	}
	c, err := openCheckpoint(checkpoint, known)
	if err != nil {
		return Report{}, &ChangedError{Fault: BadCheckpoint, Detail: err.Error()}
	}
	marks, err := openOlder(c, known, older)
	if err != nil {
		return Report{}, err
	}
	v := verifier{
		report: Report{Origin: c.Origin, Head: c.Head, Signers: c.Signers, Kinds: map[Kind]int64{}},
		marks:  marks,
	}
	for _, m := range marks {
		v.report.Older = append(v.report.Older, m.Head)
	}
	slices.SortStableFunc(v.marks, func(a, b mark) int { return cmp.Compare(a.Size, b.Size) })
	if err := v.read(newEntryReader(entries)); err != nil {
		return Report{}, err
	}
	return v.report, nil
}

// newEntryReader reads lines as long as an entry may be.
func newEntryReader(r io.Reader) *bufio.Reader {
	return bufio.NewReaderSize(r, maxEntry+2)
}

// A mark is an older checkpoint.
type mark struct {
	Head
	number int
}

// openOlder checks the older checkpoints.
func openOlder(c Checkpoint, known []note.Verifier, older [][]byte) ([]mark, error) {
	var marks []mark
	for i, signed := range older {
		bad := func(f Fault, format string, args ...any) error {
			return &ChangedError{Fault: f, Checkpoint: i + 1, Detail: fmt.Sprintf("older checkpoint %d: ", i+1) + fmt.Sprintf(format, args...)}
		}
		o, err := openCheckpoint(signed, known)
		switch {
		case err != nil:
			return nil, bad(BadCheckpoint, "%v", err)
		case o.Origin != c.Origin:
			return nil, bad(OtherLog, "it is of the log %s", clip(o.Origin))
		case o.Size > c.Size:
			return nil, bad(WentBack, "the log had %d entries then and has %d now", o.Size, c.Size)
		}
		marks = append(marks, mark{o.Head, i + 1})
	}
	return marks, nil
}

// A verifier reads entries and builds the tree over them.
type verifier struct {
	report Report
	marks  []mark // by size
	next   int    // the first mark not reached yet
	tree   tree
	proven int64 // entries before this one are what a mark was signed over
	stored []Hash
}

func (v *verifier) read(r *bufio.Reader) error {
	for v.tree.size < v.report.Size {
		if err := v.passMarks(); err != nil {
			return err
		}
		line, err := v.line(r)
		if err != nil {
			return err
		}
		if err := v.entry(line); err != nil {
			return err
		}
	}
	if err := v.passMarks(); err != nil {
		return err
	}
	if v.tree.head().Root != v.report.Root {
		return v.changed(WrongRoot, 0, v.report.Size, "the entries are not those of the checkpoint")
	}
	switch _, err := r.ReadByte(); {
	case err == nil:
		return v.changed(Extra, v.tree.size+1, 0, fmt.Sprintf("more follows after the %d entries of the checkpoint", v.report.Size))
	case err != io.EOF:
		return fmt.Errorf("audit: read entries: %w", err)
	}
	return nil
}

// passMarks checks the root at every older checkpoint of the present size.
func (v *verifier) passMarks() error {
	for ; v.next < len(v.marks) && v.marks[v.next].Size == v.tree.size; v.next++ {
		m := v.marks[v.next]
		if v.tree.head().Root != m.Root {
			err := v.changed(Rewritten, 0, m.Size, fmt.Sprintf("entries are not those of older checkpoint %d", m.number))
			err.Checkpoint = m.number
			return err
		}
		v.proven = m.Size
	}
	return nil
}

// line reads one line without its line break.
func (v *verifier) line(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, v.changed(BadEntry, v.tree.size+1, 0, fmt.Sprintf("longer than %d bytes", maxEntry))
	case err == io.EOF && len(bytes.TrimSpace(line)) > 0:
		return nil, v.changed(Missing, v.tree.size+1, 0, "the line breaks off")
	case err == io.EOF:
		return nil, v.changed(Missing, v.tree.size+1, 0,
			fmt.Sprintf("there are %d entries, the checkpoint says %d", v.tree.size, v.report.Size))
	}
	return nil, fmt.Errorf("audit: read entries: %w", err)
}

// entry checks one entry and adds it to the tree.
func (v *verifier) entry(line []byte) error {
	at := v.tree.size
	n, e, err := parseEntry(line)
	switch {
	case err != nil:
		return v.changed(BadEntry, at+1, 0, err.Error())
	case n != at:
		return v.changed(OutOfOrder, at+1, 0, fmt.Sprintf("entry %d stands where %d should", n, at))
	case e.Time.Before(v.report.Last):
		return v.changed(OutOfOrder, at+1, 0, "its time is before that of the line above")
	}
	if at == 0 {
		v.report.First = e.Time
	}
	v.report.Last = e.Time
	v.report.Kinds[e.Kind]++
	v.stored = v.tree.add(tlog.RecordHash(line), v.stored[:0])
	return nil
}

// changed reports a fault that shows at a line, or (line 0) before entry to.
func (v *verifier) changed(f Fault, line, to int64, detail string) *ChangedError {
	if line > 0 {
		to = line
	}
	return &ChangedError{Fault: f, Line: line, From: v.proven, To: to, Detail: detail}
}
