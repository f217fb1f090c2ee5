package desk

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/work"
)

const (
	// rowsAtOnce is how many rows one statement inserts.
	rowsAtOnce = 500
	// eraseAtOnce is how many records one transaction erases.
	eraseAtOnce = 2000
	// spaceBits are those of the number of a record within its generation.
	spaceBits = 32
	// probe is how far the records of a word are counted to find the rarest.
	probe = 2000
)

// IndexState implements [work.Index].
func (db *DB) IndexState(ctx context.Context, programme string) (s work.IndexState, err error) {
	err = db.read(ctx, func(t tx) error {
		var built, until int64
		_, err := t.one(`SELECT generation, made, mark, records, skipped, built, worker, until, building FROM work_index WHERE programme = $1`, []any{programme},
			&s.Generation, &s.Made, &s.Mark, &s.Records, &s.Skipped, &built, &s.Worker, &until, &s.Building)
		s.Built, s.Until = moment(built), moment(until)
		return err
	})
	return s, err
}

// BeginIndex implements [work.Index].
func (db *DB) BeginIndex(ctx context.Context, programme, worker string, now, until time.Time) (turn int64, err error) {
	err = db.write(ctx, func(t tx) error {
		var holder string
		var held int64
		_, err := t.one(`SELECT worker, until FROM work_index WHERE programme = $1`, []any{programme}, &holder, &held)
		if err != nil {
			return err
		}
		if holder != "" && milli(now) < held {
			return work.ErrBusy
		}
		if _, err := t.one(`SELECT coalesce(max(turn), 0) + 1 FROM work_index`, nil, &turn); err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO work_index (programme, generation, turn, made, mark, records, skipped, built, worker, until, building)
			VALUES ($1, 0, $2, '', NULL, 0, 0, 0, $3, $4, 0)
			ON CONFLICT (programme) DO UPDATE SET turn = excluded.turn, worker = excluded.worker, until = excluded.until, building = 0`, programme, turn, worker, milli(until))
		return err
	})
	if err != nil {
		return 0, err
	}
	return turn, db.eraseOld(ctx, programme)
}

// eraseOld removes the generations that nobody searches or builds any more.
func (db *DB) eraseOld(ctx context.Context, programme string) error {
	for {
		more := false
		err := db.transact(ctx, committed, func(t tx) error {
			var spaces []int64
			// A generation is of the programme whose turn it was; those of others are not
			// ours to judge, so each is looked for among all that are in use.
			err := t.each(`SELECT DISTINCT space FROM work_space WHERE programme = $1 AND space NOT IN (SELECT generation FROM work_index WHERE programme = $1)
				AND space NOT IN (SELECT turn FROM work_index WHERE programme = $1 AND worker <> '')`, []any{programme}, func(scan func(...any) error) error {
				var s int64
				err := scan(&s)
				spaces = append(spaces, s)
				return err
			})
			if err != nil || len(spaces) == 0 {
				return err
			}
			more = true
			return t.eraseSpace(spaces[0])
		})
		if err != nil || !more {
			return err
		}
	}
}

// eraseSpace removes some rows of a generation, and the generation with the last.
func (t tx) eraseSpace(space int64) error {
	// The key rows go first: they are found by their generation alone.
	n, err := t.exec(`DELETE FROM work_key WHERE (space, hash, office, n) IN (SELECT space, hash, office, n FROM work_key WHERE space = $1 LIMIT `+strconv.Itoa(8*eraseAtOnce)+`)`, space)
	if err != nil || n > 0 {
		return err
	}
	n, err = t.exec(`DELETE FROM work_record WHERE n IN (SELECT n FROM work_record WHERE space = $1 LIMIT `+strconv.Itoa(eraseAtOnce)+`)`, space)
	if err != nil || n > 0 {
		return err
	}
	_, err = t.exec(`DELETE FROM work_space WHERE space = $1`, space)
	return err
}

// hold locks the index of a programme for whoever has this turn.
func (t tx) hold(programme string, turn int64, until time.Time, building int64) error {
	n, err := t.exec(`UPDATE work_index SET until = $3, building = $4 WHERE programme = $1 AND turn = $2 AND worker <> ''`, programme, turn, milli(until), building)
	if err == nil && n == 0 {
		return work.ErrMoved
	}
	return err
}

// PutIndex implements [work.Index].
func (db *DB) PutIndex(ctx context.Context, p work.IndexPart) error {
	return db.transact(ctx, committed, func(t tx) error {
		if err := t.hold(p.Programme, p.Turn, p.Until, p.Records); err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO work_space (space, programme) VALUES ($1, $2) ON CONFLICT DO NOTHING`, p.Generation, p.Programme); err != nil {
			return err
		}
		for ids := range slices.Chunk(p.Remove, rowsAtOnce) {
			if err := t.removeRecords(p.Generation, ids); err != nil {
				return err
			}
		}
		return t.putRecords(p.Generation, p.Put)
	})
}

// removeRecords removes records of a generation with their keys.
func (t tx) removeRecords(space int64, ids []string) error {
	args := []any{space}
	for _, id := range ids {
		args = append(args, id)
	}
	type row struct {
		n               int64
		offices, hashes []int64
	}
	var rows []row
	err := t.each(`SELECT n, hashes FROM work_record WHERE space = $1 AND record IN (`+marks(2, len(ids))+`)`, args, func(scan func(...any) error) error {
		var r row
		var b []byte
		if err := scan(&r.n, &b); err != nil {
			return err
		}
		var ok bool
		if r.offices, r.hashes, ok = unpack(b); !ok {
			return fmt.Errorf("desk: record %d of the index is damaged; it has to be built anew", r.n)
		}
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range rows {
		args := []any{space, r.n}
		for _, v := range slices.Concat(r.hashes, r.offices) {
			args = append(args, v)
		}
		_, err := t.exec(`DELETE FROM work_key WHERE space = $1 AND n = $2 AND hash IN (`+marks(3, len(r.hashes))+`) AND office IN (`+marks(3+len(r.hashes), len(r.offices))+`)`, args...)
		if err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM work_record WHERE n = $1`, r.n); err != nil {
			return err
		}
	}
	return nil
}

// putRecords adds records to a generation. Of several with one id the first counts.
func (t tx) putRecords(space int64, entries []work.Entry) error {
	numbers, err := t.officeNumbers(entries)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for part := range slices.Chunk(entries, rowsAtOnce) {
		args := []any{space}
		for _, e := range part {
			args = append(args, e.Record)
		}
		err := t.each(`SELECT record FROM work_record WHERE space = $1 AND record IN (`+marks(2, len(part))+`)`, args, func(scan func(...any) error) error {
			var id string
			err := scan(&id)
			seen[id] = true
			return err
		})
		if err != nil {
			return err
		}
	}
	var last int64
	if _, err := t.one(`SELECT coalesce(max(n), $2) FROM work_record WHERE space = $1`, []any{space, space << spaceBits}, &last); err != nil {
		return err
	}
	var records, keys []any
	for _, e := range entries {
		if seen[e.Record] {
			continue
		}
		seen[e.Record] = true
		last++
		var offices []int64
		for _, o := range e.Offices {
			offices = append(offices, numbers[o])
		}
		records = append(records, last, space, e.Record, pack(offices, e.Keys))
		for _, o := range offices {
			for _, h := range e.Keys {
				keys = append(keys, space, h, o, last)
			}
		}
	}
	for rows := range slices.Chunk(records, 4*rowsAtOnce) {
		if _, err := t.exec(`INSERT INTO work_record (n, space, record, hashes) VALUES `+tuples(len(rows)/4, 4), rows...); err != nil {
			return err
		}
	}
	for rows := range slices.Chunk(keys, 4*rowsAtOnce) {
		if _, err := t.exec(`INSERT INTO work_key (space, hash, office, n) VALUES `+tuples(len(rows)/4, 4), rows...); err != nil {
			return err
		}
	}
	return nil
}

// officeNumbers gives every office of entries a number.
func (t tx) officeNumbers(entries []work.Entry) (map[string]int64, error) {
	numbers := map[string]int64{}
	err := t.each(`SELECT no, id FROM work_office`, nil, func(scan func(...any) error) error {
		var no int64
		var id string
		err := scan(&no, &id)
		numbers[id] = no
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		for _, o := range e.Offices {
			if numbers[o] != 0 {
				continue
			}
			var no int64
			// Two programmes may meet a new office at once: one of them waits, and asks again.
			if _, err := t.exec(`INSERT INTO work_office (no, id) SELECT coalesce(max(no), 0) + 1, $1 FROM work_office WHERE true ON CONFLICT DO NOTHING`, o); err != nil {
				return nil, err
			}
			found, err := t.one(`SELECT no FROM work_office WHERE id = $1`, []any{o}, &no)
			if err != nil || !found {
				return nil, orElse(err, work.ErrMoved)
			}
			numbers[o] = no
		}
	}
	return numbers, nil
}

// FinishIndex implements [work.Index].
func (db *DB) FinishIndex(ctx context.Context, programme string, turn int64, s work.IndexState) error {
	err := db.transact(ctx, committed, func(t tx) error {
		var records int64
		if _, err := t.one(`SELECT count(*) FROM work_record WHERE space = $1`, []any{s.Generation}, &records); err != nil {
			return err
		}
		n, err := t.exec(`UPDATE work_index SET generation = $3, made = $4, mark = $5, records = $6, skipped = $7, built = $8, worker = '', until = 0, building = 0
			WHERE programme = $1 AND turn = $2 AND worker <> ''`, programme, turn, s.Generation, s.Made, s.Mark, records, s.Skipped, milli(s.Built))
		if err == nil && n == 0 {
			return work.ErrMoved
		}
		return err
	})
	if err != nil {
		return err
	}
	return db.eraseOld(ctx, programme)
}

// DropIndex implements [work.Index].
func (db *DB) DropIndex(ctx context.Context, programme string) error {
	err := db.write(ctx, func(t tx) error {
		_, err := t.exec(`DELETE FROM work_index WHERE programme = $1`, programme)
		return err
	})
	if err != nil {
		return err
	}
	return db.eraseOld(ctx, programme)
}

// FindRecords implements [work.Index].
func (db *DB) FindRecords(ctx context.Context, q work.FindQuery) (hits []work.Hit, err error) {
	if len(q.Words) == 0 || slices.ContainsFunc(q.Words, func(w []int64) bool { return len(w) == 0 }) {
		return nil, nil
	}
	err = db.read(ctx, func(t tx) error {
		hits = nil
		var space, office int64
		if _, err := t.one(`SELECT generation FROM work_index WHERE programme = $1`, []any{q.Programme}, &space); err != nil || space == 0 {
			return err
		}
		found, err := t.one(`SELECT no FROM work_office WHERE id = $1`, []any{q.Office}, &office)
		if err != nil || !found && !q.Others {
			return err
		}
		return t.find(q, space, office, &hits)
	})
	return hits, err
}

// find begins with the word that fewest records have. A common one has tens of thousands of
// records, so each of its keys is read in the order of the index, and no further than a
// page.
func (t tx) find(q work.FindQuery, space, office int64, hits *[]work.Hit) error {
	words, err := t.rarestFirst(q, space, office)
	if err != nil {
		return err
	}
	args := []any{space, office, q.After, q.Limit}
	param := func(h int64) string {
		args = append(args, h)
		return marks(len(args), 1)
	}
	of, filter := `= $2`, ""
	if q.Others {
		of, filter = `<> $2`, ` AND NOT EXISTS (SELECT 1 FROM work_key o WHERE o.space = $1 AND o.hash = k.hash AND o.office = $2 AND o.n = k.n)`
	}
	for _, w := range words[1:] {
		// One look for each key: a list of them would be made anew for each record.
		var any []string
		for _, h := range w {
			any = append(any, `EXISTS (SELECT 1 FROM work_key o WHERE o.space = $1 AND o.hash = `+param(h)+` AND o.office = k.office AND o.n = k.n)`)
		}
		filter += ` AND (` + strings.Join(any, ` OR `) + `)`
	}
	var pages []string
	for i, h := range words[0] {
		pages = append(pages, `SELECT n FROM (SELECT DISTINCT k.n FROM work_key k WHERE k.space = $1 AND k.hash = `+param(h)+` AND k.office `+of+` AND k.n > $3`+filter+
			` ORDER BY k.n LIMIT $4) page`+strconv.Itoa(i))
	}
	query := `SELECT r.n, r.record FROM (SELECT n FROM (` + strings.Join(pages, ` UNION `) + `) page ORDER BY n LIMIT $4) hit JOIN work_record r ON r.n = hit.n ORDER BY r.n`
	return t.each(query, args, func(scan func(...any) error) error {
		var h work.Hit
		err := scan(&h.N, &h.Record)
		*hits = append(*hits, h)
		return err
	})
}

// rarestFirst orders words by how many records of the office have them.
func (t tx) rarestFirst(q work.FindQuery, space, office int64) ([][]int64, error) {
	words := slices.Clone(q.Words)
	if len(words) == 1 {
		return words, nil
	}
	best, fewest := 0, int64(probe+1)
	for i, w := range words {
		args := []any{space, office}
		for _, h := range w {
			args = append(args, h)
		}
		var n int64
		query := `SELECT count(*) FROM (SELECT 1 FROM work_key WHERE space = $1 AND office = $2 AND hash IN (` + marks(3, len(w)) + `) LIMIT ` + strconv.Itoa(probe) + `) counted`
		if _, err := t.one(query, args, &n); err != nil {
			return nil, err
		}
		if n < fewest {
			best, fewest = i, n
		}
	}
	words[0], words[best] = words[best], words[0]
	return words, nil
}

// pack writes the offices and hashes of a record in one value.
func pack(offices, hashes []int64) []byte {
	b := binary.AppendUvarint(nil, uint64(len(offices)))
	for _, o := range offices {
		b = binary.AppendUvarint(b, uint64(o))
	}
	for _, h := range hashes {
		b = binary.BigEndian.AppendUint64(b, uint64(h))
	}
	return b
}

func unpack(b []byte) (offices, hashes []int64, ok bool) {
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(len(b)) {
		return nil, nil, false
	}
	for b = b[n:]; count > 0; count-- {
		o, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, nil, false
		}
		offices, b = append(offices, int64(o)), b[n:]
	}
	for ; len(b) >= 8; b = b[8:] {
		hashes = append(hashes, int64(binary.BigEndian.Uint64(b)))
	}
	return offices, hashes, len(b) == 0
}

// tuples are the parameters of n rows of so many values: ($1, $2), ($3, $4).
func tuples(n, width int) string {
	rows := make([]string, n)
	for i := range rows {
		rows[i] = "(" + marks(1+i*width, width) + ")"
	}
	return strings.Join(rows, ", ")
}
