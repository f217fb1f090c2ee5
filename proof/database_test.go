package proof

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the checker reads the file itself
)

// A database is one state of the issuer's database, read by SQL of our own.
type database interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// openOwn opens a database without the help of package store. A file is copied
// first, so that looking at it changes nothing about it: opening would play its
// write-ahead log back into it.
func openOwn(ctx context.Context, location string) (database, func(), error) {
	if strings.HasPrefix(location, "postgres://") {
		return openPostgres(ctx, location)
	}
	dir, err := os.MkdirTemp("", "sanad-proof-")
	if err != nil {
		return nil, nil, err
	}
	clean := func() { _ = os.RemoveAll(dir) }
	copied := filepath.Join(dir, "copy.db")
	for _, suffix := range []string{"", "-wal"} {
		err := copyFile(location+suffix, copied+suffix)
		if err != nil && (suffix == "" || !errors.Is(err, fs.ErrNotExist)) {
			clean()
			return nil, nil, err
		}
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: copied, RawQuery: "_pragma=query_only(1)"}).String())
	if err != nil {
		clean()
		return nil, nil, err
	}
	return db, func() { _ = db.Close(); clean() }, nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// each runs a query and calls f for each row.
func each(ctx context.Context, db database, query string, f func(scan func(...any) error) error) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("%.60q: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return fmt.Errorf("%.60q: %w", query, err)
		}
	}
	return rows.Err()
}

func (c *checker) readLists(ctx context.Context, db database) error {
	const query = `SELECT list_no, uri, bits, size, next_counter FROM status_list ORDER BY list_no`
	return each(ctx, db, query, func(scan func(...any) error) error {
		l := &list{}
		if err := scan(&l.no, &l.uri, &l.bits, &l.size, &l.next); err != nil {
			return err
		}
		l.used, l.logged, l.values = newBitset(l.size), newBitset(l.size), make([]byte, l.size*l.bits/8)
		c.lists = append(c.lists, l)
		c.byURI[l.uri] = l
		return nil
	})
}

func (c *checker) readCredentials(ctx context.Context, db database) error {
	const query = `SELECT credential_no, credential_id, record_ref, state, many, coalesce(batch_no, 0), coalesce(part_of, '') FROM credential ORDER BY credential_no`
	return each(ctx, db, query, func(scan func(...any) error) error {
		var no int64
		var id, name, whole string
		var record []byte
		var many int
		k := cred{}
		if err := scan(&no, &id, &record, &name, &many, &k.batch, &whole); err != nil {
			return err
		}
		k.id, k.record, k.state, k.many = toID(id), short(record), stateNames[name], many != 0
		if _, twice := c.byID[k.id]; twice {
			c.report(heldTwice, "the id %s stands twice", id)
		}
		c.byID[k.id] = int32(len(c.creds))
		if whole != "" {
			c.wholes[int32(len(c.creds))] = toID(whole)
		}
		c.creds = append(c.creds, k)
		return nil
	})
}

func (c *checker) readForms(ctx context.Context, db database) error {
	numbers := make(map[int64]int32, len(c.lists))
	for i, l := range c.lists {
		numbers[l.no] = int32(i)
	}
	used := make([]uint64, len(c.lists))
	const query = `SELECT c.credential_id, coalesce(f.list_no, 0), coalesce(f.slot_index, 0), f.slot_value, f.signed
		FROM credential_form f JOIN credential c ON c.credential_no = f.credential_no ORDER BY f.credential_no, f.form_no`
	err := each(ctx, db, query, func(scan func(...any) error) error {
		var id string
		var listNo int64
		var slot uint64
		var value byte
		var signed []byte
		if err := scan(&id, &listNo, &slot, &value, &signed); err != nil {
			return err
		}
		n, ok := c.byID[toID(id)]
		if !ok {
			return errors.New("a form without its credential")
		}
		k := &c.creds[n]
		if value != k.state.value() {
			c.report(slotValue, "%s is %s, its slot says %d", id, k.state, value)
		}
		if d := short(signed); d != (digest{}) {
			c.forms[d] = form{cred: n, list: numbers[listNo], slot: uint32(slot)}
		} else if k.state == active || k.state == suspended {
			c.report(halfSigned, "%s is %s", id, k.state)
		}
		if listNo == 0 {
			return nil
		}
		l := c.lists[numbers[listNo]]
		if slot >= l.size {
			c.report(slotBeyond, "%s: slot %d of %d of %s", id, slot, l.size, l.uri)
			return nil
		}
		used[numbers[listNo]]++
		if l.used.add(slot) {
			c.report(slotTwice, "slot %d of %s, also by %s", slot, l.uri, id)
		}
		k.slots = addSlot(k.slots, l.uri, slot)
		if slots, ok := c.acked[k.id]; ok {
			c.acked[k.id] = append(slots, form{n, numbers[listNo], uint32(slot)})
		}
		return nil
	})
	for i, l := range c.lists {
		if used[i] > l.next {
			c.report(slotBeyond, "%s has given out %d slots and %d are used", l.uri, l.next, used[i])
		}
	}
	return err
}

// addSlot adds a slot to the hash of a credential's slots.
func addSlot(h uint64, uri string, slot uint64) uint64 {
	f := fnv.New64a()
	_ = binary.Write(f, binary.BigEndian, []uint64{h, slot})
	_, _ = io.WriteString(f, uri)
	return f.Sum64()
}

// readBatches counts for itself what each batch has issued.
func (c *checker) readBatches(ctx context.Context, db database) error {
	const query = `SELECT b.batch_id, b.issued, (SELECT count(*) FROM credential c
		WHERE c.batch_no = b.batch_no AND c.state <> 'intended' AND c.reason <> 'leftover') FROM batch b`
	return each(ctx, db, query, func(scan func(...any) error) error {
		var id string
		var says, has int64
		if err := scan(&id, &says, &has); err != nil {
			return err
		}
		if says != has {
			c.report(batchCount, "batch %s says that it issued %d, the database has %d", id, says, has)
		}
		return nil
	})
}
