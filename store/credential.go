package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
)

// page is how many credentials one statement of Find reads.
const page = 500

// Tick implements [issuance.CredentialTx].
func (t *tx) Tick(now time.Time) (time.Time, error) {
	var latest int64
	if _, err := t.row(updateTick, []any{now.UnixMilli()}, &latest); err != nil {
		return time.Time{}, fmt.Errorf("tick: %w", err)
	}
	return time.UnixMilli(latest).UTC(), nil
}

// Held implements [issuance.CredentialTx].
func (t *tx) Held(programme string, records []issuance.Pseudonym) (map[issuance.Pseudonym]issuance.Holding, error) {
	held := map[issuance.Pseudonym]issuance.Holding{}
	no, known, err := t.programmeNo(programme)
	if err != nil || !known || len(records) == 0 {
		return held, err
	}
	d := t.db.engine.dialect()
	err = t.rows(d.selectHeld, []any{no, d.records(records)}, func(scan func(...any) error) error {
		var record []byte
		var h issuance.Holding
		var batch sql.NullString
		var expires sql.NullInt64
		if err := scan(&record, &h.ID, &h.State, &batch, &h.Row, &expires); err != nil {
			return t.fail(storeError(err))
		}
		h.Batch, h.Expires = batch.String, toTime(expires.Int64)
		held[issuance.Pseudonym(record)] = h
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up who holds a credential: %w", err)
	}
	return held, nil
}

// Redeemed implements [issuance.CredentialTx].
func (t *tx) Redeemed(key [32]byte) (issuance.Credential, error) {
	var id string
	ok, err := t.row(selectRedeemed, []any{key[:]}, &id)
	if err != nil {
		return issuance.Credential{}, fmt.Errorf("look up an idempotency key: %w", err)
	}
	if !ok || key == ([32]byte{}) {
		return issuance.Credential{}, fmt.Errorf("idempotency key: %w", issuance.ErrNoCredential)
	}
	return t.credential(id)
}

// Parts implements [issuance.CredentialTx].
func (t *tx) Parts(id string) ([]issuance.Part, error) {
	var parts []issuance.Part
	err := t.rows(selectParts, []any{id}, func(scan func(...any) error) error {
		var p issuance.Part
		if err := scan(&p.ID, &p.State); err != nil {
			return t.fail(storeError(err))
		}
		parts = append(parts, p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("parts of %.40q: %w", id, err)
	}
	return parts, nil
}

// Intend implements [issuance.CredentialTx].
func (t *tx) Intend(creds []issuance.Credential) error {
	no, rows, forms, err := t.prepare(creds)
	if err != nil {
		return t.lose(fmt.Errorf("intend: %w", err))
	}
	if like, ok := t.alike(no, creds, rows, forms); ok {
		switch done, err := t.intendAlike(like); {
		case err != nil:
			return fmt.Errorf("intend: %w", t.meaning(err))
		case done:
			t.db.names.intended(no, creds)
			return nil
		}
	}
	i, err := t.insert(intoCredential, len(creds), func(i int, v values) {
		c := &creds[i]
		many, vacated := int64(0), int64(0)
		if c.Many {
			many, vacated = 1, no+int64(i)
		}
		v.set(no+int64(i), c.ID, rows[i].programme, int64(c.Version), c.Record[:],
			fromTime(c.IssuedAt), orNull(fromTime(c.Expires), c.Expires.IsZero()), fromTime(c.Changed),
			orNull(rows[i].batch, c.Batch == ""), c.Row, c.Supersedes,
			orNull(c.Idempotency[:], c.Idempotency == [32]byte{}), many, vacated, t.db.writer, orNull(c.PartOf, c.PartOf == ""))
	})
	if err != nil {
		return fmt.Errorf("intend%s: %w", which(creds, i), t.meaning(err))
	}
	i, err = t.insert(intoForm, len(forms), func(i int, v values) {
		f := &forms[i]
		none := f.list == 0
		v.set(no+int64(f.cred), int64(f.form), f.record.Form, orNull(f.list, none), orNull(int64(f.record.Slot.Index), none),
			f.record.Key[:], f.record.ToBeSigned[:])
	})
	if err != nil {
		if i < len(forms) {
			i = forms[i].cred
		} else {
			i = len(creds)
		}
		return fmt.Errorf("intend%s: forms: %w", which(creds, i), t.meaning(err))
	}
	if len(creds) > 1 {
		t.db.names.intended(no, creds)
	}
	return nil
}

// manyAlike is how many credentials are worth a statement for all of them.
const manyAlike = 20

// alike returns what is to be stored of credentials if they are.
func (t *tx) alike(no int64, creds []issuance.Credential, rows []numbers, forms []formRow) (like alike, ok bool) {
	if len(creds) < manyAlike {
		return like, false
	}
	a := &creds[0]
	like = alike{
		first: no, programme: rows[0].programme, batch: rows[0].batch, version: a.Version, issued: fromTime(a.IssuedAt), changed: fromTime(a.Changed),
		expires: orNull(fromTime(a.Expires), a.Expires.IsZero()), writer: t.db.writer,
		ids: make([]byte, 0, len(creds)*len(a.ID)), records: make([]byte, 0, len(creds)*len(a.Record)), rows: make([]int64, len(creds)),
		forms: make([]alikeForms, len(a.Forms)),
	}
	for i := range creds {
		c := &creds[i]
		if len(c.ID) != len(a.ID) || rows[i] != rows[0] || c.Version != a.Version || !c.IssuedAt.Equal(a.IssuedAt) || !c.Changed.Equal(a.Changed) ||
			!c.Expires.Equal(a.Expires) || c.Batch == "" || c.Supersedes != "" || c.Idempotency != [32]byte{} || c.Many || c.PartOf != "" ||
			len(c.Forms) != len(a.Forms) {
			return like, false
		}
		like.ids, like.records, like.rows[i] = append(like.ids, c.ID...), append(like.records, c.Record[:]...), c.Row
	}
	for _, f := range forms { // of one credential after the other
		if f.cred == 0 {
			like.forms[f.form] = alikeForms{form: f.record.Form, list: f.list, key: f.record.Key[:]}
		}
		l := &like.forms[f.form]
		if f.list == 0 || f.list != l.list || f.record.Form != l.form || !bytes.Equal(f.record.Key[:], l.key) {
			return like, false
		}
		l.slots, l.toBeSigned = append(l.slots, int64(f.record.Slot.Index)), append(l.toBeSigned, f.record.ToBeSigned[:]...)
	}
	return like, true
}

func (t *tx) intendAlike(like alike) (done bool, err error) {
	if err := t.ready(); err != nil {
		return false, err
	}
	if done, err = t.s.intend(like); err != nil {
		return false, t.fail(err)
	}
	return done, nil
}

// which names a credential, if the database told which of them it was.
func which(creds []issuance.Credential, i int) string {
	if i < len(creds) {
		return fmt.Sprintf(" %.40q", creds[i].ID)
	}
	return ""
}

// numbers are what the database calls the programme and the batch of a
// credential.
type numbers struct{ programme, batch int64 }

// A formRow is one form of a chunk of credentials.
type formRow struct {
	cred, form int
	record     *issuance.FormRecord
	list       int64 // 0 if it has no slot
}

// prepare checks new credentials and looks up the numbers of what they refer to.
// no is the number of the first of them.
func (t *tx) prepare(creds []issuance.Credential) (no int64, rows []numbers, forms []formRow, err error) {
	if _, err := t.row(selectLastCredNo, nil, &no); err != nil {
		return 0, nil, nil, err
	}
	rows = make([]numbers, len(creds))
	forms = make([]formRow, 0, len(creds))
	for i := range creds {
		c := &creds[i]
		if err := checkIntent(c); err != nil {
			return 0, nil, nil, fmt.Errorf("%.40q: %w", c.ID, err)
		}
		if rows[i].programme, err = t.versionNo(c.Programme, c.Version); err != nil {
			return 0, nil, nil, err
		}
		if c.Batch != "" {
			if rows[i].batch, err = t.batchNo(c.Batch); err != nil {
				return 0, nil, nil, err
			}
		}
		for j := range c.Forms {
			f := formRow{cred: i, form: j, record: &c.Forms[j]}
			if f.list, err = t.slotList(f.record.Slot); err != nil {
				return 0, nil, nil, err
			}
			forms = append(forms, f)
		}
	}
	return no + 1, rows, forms, nil
}

// checkIntent refuses what is not a new credential.
func checkIntent(c *issuance.Credential) error {
	switch {
	case c.State != issuance.Intended || c.Reason != issuance.NoReason:
		return errors.New("a new credential is intended, for no reason")
	case c.ID == "" || len(c.ID) > 128:
		return errors.New("no id, or one over 128 bytes")
	case c.IssuedAt.IsZero() || c.Changed.IsZero():
		return errors.New("no time")
	case len(c.Forms) == 0 || len(c.Forms) > 16:
		return errors.New("no forms, or more than 16")
	case len(c.PartOf) > 128 || c.PartOf != "" && !c.Many:
		return errors.New("it is a part of something with an id over 128 bytes, or counts for itself")
	case len(c.Supersedes) > 128:
		return errors.New("it supersedes something with an id over 128 bytes")
	}
	for i := range c.Forms {
		if len(c.Forms[i].Form) > 128 || c.Forms[i].Signed != [32]byte{} {
			return errors.New("a form with a name over 128 bytes, or signed already")
		}
	}
	return nil
}

// slotList returns the number of a slot's list, 0 if there is no slot.
func (t *tx) slotList(s issuance.Slot) (int64, error) {
	if s.List == "" {
		return 0, nil
	}
	l, err := t.listNo(s.List)
	if err != nil {
		return 0, err
	}
	if s.Index >= l.size {
		return 0, fmt.Errorf("slot %d of a list of %d", s.Index, l.size)
	}
	return l.no, nil
}

// meaning turns a refusal of the database into the error that callers know.
func (t *tx) meaning(err error) error {
	if known := t.db.engine.meaning(err); known != nil {
		t.lost = known
		return known
	}
	return err
}

// Complete implements [issuance.CredentialTx].
func (t *tx) Complete(marks []issuance.Mark, at time.Time) error {
	if len(marks) > 1 {
		if first, forms, ok := t.db.names.run(marks); ok {
			done, err := t.completeRun(first, forms, marks, at)
			if done || err != nil {
				return err
			}
		}
	}
	found, err := t.marked(marks)
	if err != nil {
		return t.lose(fmt.Errorf("complete: %w", err))
	}
	if err := t.ready(); err != nil || len(marks) == 0 {
		return err
	}
	if err := t.s.complete(found, marks, fromTime(at)); err != nil {
		return fmt.Errorf("complete: %w", t.meaning(t.fail(err)))
	}
	return nil
}

// completeRun completes credentials with numbers that follow one another, from first.
// It has done nothing if it finds others than it looks for: the numbers are remembered,
// and who has to refuse says why.
func (t *tx) completeRun(first int64, forms int, marks []issuance.Mark, at time.Time) (done bool, err error) {
	for i := range marks {
		if len(marks[i].Signed) != forms || slices.Contains(marks[i].Signed, [32]byte{}) {
			return false, nil
		}
	}
	var count int64
	var lowest, highest sql.NullString
	_, err = t.row(selectRun, []any{first, first + int64(len(marks)) - 1}, &count, &lowest, &highest)
	switch {
	case err != nil:
		return false, fmt.Errorf("complete: %w", err)
	case count != int64(len(marks)) || lowest.String != marks[0].ID || highest.String != marks[len(marks)-1].ID:
		return false, nil
	}
	if err := t.s.completeRun(first, marks, fromTime(at)); err != nil {
		return false, fmt.Errorf("complete: %w", t.meaning(t.fail(err)))
	}
	return true, nil
}

// marked returns the numbers of the credentials to be completed.
func (t *tx) marked(marks []issuance.Mark) ([]int64, error) {
	ids := make([]string, len(marks))
	for i := range marks {
		ids[i] = marks[i].ID
	}
	found := make([]int64, len(marks))
	d := t.db.engine.dialect()
	err := t.rows(d.selectMarked, []any{d.strings(ids)}, func(scan func(...any) error) error {
		var i, no int64
		var n int
		var state issuance.State
		if err := scan(&i, &no, &state, &n); err != nil {
			return t.fail(storeError(err))
		}
		m := &marks[i]
		switch {
		case state == issuance.Revoked:
			return fmt.Errorf("%.40q: %w", m.ID, issuance.ErrFinal)
		case state != issuance.Intended:
			return fmt.Errorf("%.40q is %s: %w", m.ID, state, issuance.ErrState)
		case n != len(m.Signed):
			return fmt.Errorf("%.40q has %d forms, %d were signed", m.ID, n, len(m.Signed))
		}
		for _, s := range m.Signed {
			if s == ([32]byte{}) {
				return fmt.Errorf("%.40q: a form without the hash of what was signed", m.ID)
			}
		}
		found[i] = no
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, no := range found {
		if no == 0 {
			return nil, fmt.Errorf("%.40q: %w", marks[i].ID, issuance.ErrNoCredential)
		}
	}
	return found, nil
}

// after says which states may follow a state, other than through Complete.
var after = map[issuance.State][]issuance.State{
	issuance.Intended:  {issuance.Revoked},
	issuance.Active:    {issuance.Suspended, issuance.Revoked},
	issuance.Suspended: {issuance.Active, issuance.Revoked},
}

// Change implements [issuance.CredentialTx].
func (t *tx) Change(id string, to issuance.State, r issuance.Reason, at time.Time) (issuance.Credential, error) {
	var from issuance.State
	known, err := t.row(selectState, []any{id}, &from)
	switch {
	case err != nil:
		return issuance.Credential{}, fmt.Errorf("change %.40q: %w", id, err)
	case !known:
		return issuance.Credential{}, t.lose(fmt.Errorf("change %.40q: %w", id, issuance.ErrNoCredential))
	case from == issuance.Revoked:
		return issuance.Credential{}, t.lose(fmt.Errorf("change %.40q: %w", id, issuance.ErrFinal))
	case !slices.Contains(after[from], to), r == issuance.Leftover && from != issuance.Intended:
		return issuance.Credential{}, t.lose(fmt.Errorf("change %.40q from %s to %.20q: %w", id, from, to, issuance.ErrState))
	case (r == issuance.NoReason) != (to == issuance.Active):
		return issuance.Credential{}, t.lose(fmt.Errorf("change %.40q to %s for the reason %.40q: only a resumed credential has none", id, to, r))
	}
	if err := t.run(updateState, id, string(to), string(r), fromTime(at)); err != nil {
		return issuance.Credential{}, fmt.Errorf("change %.40q: %w", id, t.meaning(err))
	}
	return t.credential(id)
}

// credential reads one credential within the transaction.
func (t *tx) credential(id string) (issuance.Credential, error) {
	var r reader
	err := t.rows(selectCredential, []any{id}, func(scan func(...any) error) error {
		if err := r.add(scan); err != nil {
			return t.fail(err)
		}
		return nil
	})
	if err != nil {
		return issuance.Credential{}, fmt.Errorf("credential %.40q: %w", id, err)
	}
	if len(r.found) == 0 {
		return issuance.Credential{}, fmt.Errorf("credential %.40q: %w", id, issuance.ErrNoCredential)
	}
	return r.found[0], nil
}

// Credential implements [issuance.Store].
func (db *DB) Credential(ctx context.Context, id string) (issuance.Credential, error) {
	var r reader
	if err := db.read(ctx, selectCredential, []any{id}, r.add); err != nil {
		return issuance.Credential{}, fmt.Errorf("credential %.40q: %w", id, err)
	}
	if len(r.found) == 0 {
		return issuance.Credential{}, fmt.Errorf("credential %.40q: %w", id, issuance.ErrNoCredential)
	}
	return r.found[0], nil
}

// Find implements [issuance.Store]. It reads page by page: a credential that
// changes meanwhile is yielded as it was or as it is.
func (db *DB) Find(ctx context.Context, q issuance.Query) iter.Seq2[issuance.Credential, error] {
	return func(yield func(issuance.Credential, error) bool) {
		for left := q.Limit; ; {
			n := page
			if q.Limit > 0 {
				n = min(n, left)
			}
			query, args := db.query(q, n)
			found, err := db.find(ctx, query, args...)
			if err != nil {
				yield(issuance.Credential{}, fmt.Errorf("find credentials: %w", err))
				return
			}
			for _, c := range found {
				if !yield(c, nil) {
					return
				}
			}
			left -= len(found)
			if len(found) < n || q.Limit > 0 && left == 0 {
				return
			}
			q.After = found[len(found)-1].ID
		}
	}
}

// query turns a query into SQL for up to n credentials. A page must come from an index
// that yields it in order, or that finds a handful; columns of others are set aside.
func (db *DB) query(q issuance.Query, n int) (query string, args []any) {
	param := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	d := db.engine.dialect()
	after := param(q.After)
	source, order, parts := anyCredential, "credential_id", []string{"credential_id > " + after}
	byRecord, byState := q.Record != (issuance.Pseudonym{}), q.State != "" && q.State != issuance.Active
	if byRecord {
		parts = append(parts, "record_ref = "+param(q.Record[:]))
	}
	if q.Programme != "" {
		column := d.aside("programme_no")
		if byRecord {
			column = "programme_no"
		}
		parts = append(parts, column+" = (SELECT programme_no FROM programme WHERE programme_id = "+param(q.Programme)+")")
	}
	if byState {
		source, order = d.inState(q.State, param(string(q.State)), after)
	} else if q.State != "" {
		parts = append(parts, d.aside("state")+" = "+param(string(q.State)))
	}
	if q.Batch != "" {
		column := "batch_no"
		if byRecord || byState {
			column = d.aside("batch_no")
		}
		parts = append(parts, column+" = (SELECT batch_no FROM batch WHERE batch_id = "+param(q.Batch)+")")
	}
	if q.FirstRow > 0 {
		parts = append(parts, "batch_row >= "+param(q.FirstRow))
	}
	if q.LastRow > 0 {
		parts = append(parts, "batch_row <= "+param(q.LastRow))
	}
	if q.PartOf != "" {
		parts = append(parts, "part_of = "+param(q.PartOf))
	}
	if q.Abandoned {
		parts = append(parts, d.abandoned(param(db.writer)))
	}
	if q.Number != "" {
		tail := issuance.NumberTail(q.Number)
		parts = append(parts, fmt.Sprintf("substr(credential_id, length(credential_id) - %d) = ", len(tail)-1)+param(tail))
	}
	if q.List != "" {
		parts = append(parts, `EXISTS (SELECT 1 FROM credential_form f JOIN status_list l USING (list_no)
			WHERE f.credential_no = c.credential_no AND l.uri = `+param(q.List)+`)`)
	}
	return credentials(source, strings.Join(parts, " AND "), order, n), args
}

// find reads what a query by credentials finds.
func (db *DB) find(ctx context.Context, query string, args ...any) ([]issuance.Credential, error) {
	var r reader
	if err := db.engine.read(ctx, query, false, args, r.add); err != nil {
		return nil, err
	}
	return r.found, nil
}

// A reader puts credentials together from rows of their forms.
type reader struct{ found []issuance.Credential }

func (r *reader) add(scan func(dest ...any) error) error {
	var c issuance.Credential
	var f issuance.FormRecord
	var record, idempotency, key, tbs, signed []byte
	var issued, changed int64
	var many int64
	var expires, slot sql.NullInt64
	var batch, list, part sql.NullString
	err := scan(&c.ID, &c.Programme, &c.Version, &record, &c.State, &c.Reason, &issued, &expires, &changed,
		&batch, &c.Row, &c.Supersedes, &idempotency, &many, &part, &f.Form, &list, &slot, &key, &tbs, &signed)
	if err != nil {
		return storeError(err)
	}
	if len(record) != len(c.Record) || len(key) != len(keys.ID{}) || len(tbs) != len(f.ToBeSigned) || len(signed) != len(f.Signed) {
		return fmt.Errorf("store: credential %.40q has a digest of the wrong length", c.ID)
	}
	f.Slot = issuance.Slot{List: list.String, Index: uint64(slot.Int64)}
	f.Key, f.ToBeSigned, f.Signed = keys.ID(key), [32]byte(tbs), [32]byte(signed)
	if n := len(r.found); n > 0 && r.found[n-1].ID == c.ID {
		r.found[n-1].Forms = append(r.found[n-1].Forms, f)
		return nil
	}
	c.Record, c.Batch, c.Many, c.PartOf = issuance.Pseudonym(record), batch.String, many == 1, part.String
	c.IssuedAt, c.Expires, c.Changed = toTime(issued), toTime(expires.Int64), toTime(changed)
	copy(c.Idempotency[:], idempotency)
	c.Forms = []issuance.FormRecord{f}
	r.found = append(r.found, c)
	return nil
}
