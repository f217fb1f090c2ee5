package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/sanad-id/sanad/issuance"
)

func testFind(t *testing.T, sub Subject) {
	s := office(t, sub)
	const n = 1200 // more than two pages
	write(t, s, func(tx issuance.Tx) error {
		if err := tx.SaveProgramme(programmeRow("other", 1)); err != nil {
			return err
		}
		if err := tx.OpenList(issuance.List{URI: "https://sanad.example/status/2", Kind: issuance.ListKind{Programme: "other", Form: "qr", Bits: 1}, Size: listSize, Opened: now}); err != nil {
			return err
		}
		if err := tx.SaveBatch(newBatch("batch-1")); err != nil {
			return err
		}
		return tx.SaveBatch(newBatch("batch-2"))
	})
	var stored []issuance.Credential
	for i := range n {
		c := cred(i)
		switch i % 3 {
		case 0:
			c.Batch, c.Row = "batch-1", int64(i)
		case 1:
			c.Programme, c.Forms[0].Slot.List = "other", "https://sanad.example/status/2"
			c.Record = cred(i - 1).Record
		}
		stored = append(stored, c)
	}
	for chunk := range slices.Chunk(stored, 300) {
		write(t, s, func(tx issuance.Tx) error { return tx.Intend(chunk) })
	}
	var marks []issuance.Mark
	for i := range stored {
		if i%5 != 0 {
			marks = append(marks, mark(stored[i]))
			stored[i].State = issuance.Active
		}
	}
	write(t, s, func(tx issuance.Tx) error { return tx.Complete(marks, now) })
	write(t, s, func(tx issuance.Tx) error {
		for i := range stored {
			switch {
			case i%50 == 1:
				stored[i].State = issuance.Suspended
			case i%70 == 0:
				stored[i].State = issuance.Revoked
			default:
				continue
			}
			if _, err := tx.Change(stored[i].ID, stored[i].State, issuance.Withdrawn, now); err != nil {
				return err
			}
		}
		return nil
	})
	queries := []issuance.Query{
		{}, {Programme: program}, {Programme: "other"}, {Programme: "none"}, {Batch: "batch-1"}, {Batch: "batch-2"}, {Batch: "none"},
		{State: issuance.Intended}, {State: issuance.Active}, {State: issuance.Suspended}, {State: issuance.Revoked},
		{Programme: program, Record: cred(0).Record}, {Record: cred(0).Record}, {Programme: "other", Record: cred(0).Record},
		{List: listURI}, {List: "https://sanad.example/status/2", State: issuance.Revoked}, {List: "none"},
		{Batch: "batch-1", State: issuance.Intended}, {Batch: "batch-1", State: issuance.Active, Programme: program},
		{Number: issuance.DocumentNumber(id(700))}, {Number: issuance.DocumentNumber(id(701)), Programme: program}, {Number: issuance.DocumentNumber(id(n))},
		{After: id(700)}, {After: id(n)}, {Limit: 1}, {Limit: 500}, {Limit: 501}, {Limit: 1199}, {Limit: 5000},
		{Batch: "batch-1", FirstRow: 300, LastRow: 600}, {Batch: "batch-1", LastRow: 30, State: issuance.Intended}, {Batch: "batch-1", FirstRow: 1100},
		{After: id(600), Limit: 550, Programme: program}, {Limit: 7, State: issuance.Revoked, After: id(100)},
		{Programme: program, State: issuance.Revoked, Batch: "batch-1", List: listURI, After: id(10), Limit: 3},
	}
	for _, q := range queries {
		want := []string{}
		for _, c := range stored {
			if matches(q, c) && (q.Limit == 0 || len(want) < q.Limit) {
				want = append(want, c.ID)
			}
		}
		same(t, fmt.Sprintf("Find(%+v)", q), ids(all(t, s.Find(t.Context(), q))), want)
	}
	t.Run("stop early", func(t *testing.T) {
		for range s.Find(t.Context(), issuance.Query{}) {
			break
		}
		write(t, s, func(issuance.Tx) error { return nil })
	})
	t.Run("write while reading", func(t *testing.T) {
		seen := 0
		for c, err := range s.Find(t.Context(), issuance.Query{State: issuance.Intended}) {
			if err != nil {
				t.Fatal(err)
			}
			seen++
			if err := change(s, c.ID, issuance.Revoked, issuance.Leftover, now); err != nil {
				t.Fatal(err)
			}
		}
		if left := all(t, s.Find(t.Context(), issuance.Query{State: issuance.Intended})); len(left) != 0 || seen < n/6 {
			t.Errorf("saw %d, left %d", seen, len(left))
		}
	})
	t.Run("end of the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range s.Find(ctx, issuance.Query{}) {
			if err != nil {
				wantErr(t, "Find", err, context.Canceled)
			}
		}
	})
}

func matches(q issuance.Query, c issuance.Credential) bool {
	return (q.Programme == "" || c.Programme == q.Programme) && (q.Record == issuance.Pseudonym{} || c.Record == q.Record) &&
		(q.Batch == "" || c.Batch == q.Batch) && (q.State == "" || c.State == q.State) && c.ID > q.After &&
		(q.List == "" || c.Forms[0].Slot.List == q.List) &&
		(q.Number == "" || issuance.DocumentNumber(c.ID) == q.Number) &&
		(q.FirstRow == 0 || c.Row >= q.FirstRow) && (q.LastRow == 0 || c.Row <= q.LastRow)
}
