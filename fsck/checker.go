package fsck

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/trust"
)

// A checker is one run.
type checker struct {
	Config
	ctx    context.Context //nolint:containedctx // it lives for one call
	report Report
	found  map[Code]int
	salt   [16]byte

	programmes map[int64]string // id by number
	digests    map[string]bool  // of programme texts: whether the log has them
	lists      map[int64]*list
	byURI      map[string]*list
	batches    map[int64]*batch
	byBatch    map[string]*batch
	used       map[keys.ID]int64 // credentials in force by key
	published  []*publication
	named      map[string]*publication
	roots      map[int64]root    // checkpoints by size
	logged     map[string]logged // what the log says of the files in the folder, by digest

	sums      [categories][buckets]sum // what the store says less what the log says
	suspended map[string]string        // reason by credential, as the log tells
	broken    bool                     // the log cannot be read to its end
	again     bool                     // it is read for the second time
	restored  int64                    // number of the last entry that says so, or -1
	segments  [][32]byte               // of the hash sequence
	hashes    int64
}

// A list is a status list with what its credentials say of it, a bit a slot.
type list struct {
	uri              string
	bits             int
	size, next       uint64
	taken, revoked   []uint64
	sealed           bool
	programme, form_ string
}

// A batch as the store and as the log tell it.
type batch struct {
	id              string
	stored          bool
	ended, givenUp  bool // by the store
	issued, counted int64

	// Of the log: the number of the entry that it began with, and of the last that ended
	// it; -1 if there is none.
	begun, end int64
	endKind    audit.Kind
	endIssued  int64
}

type root struct {
	hash audit.Hash
	seen bool
}

// What is published, with the last entry of the log about it.
type publication struct {
	name    string
	number  uint64
	digest  string
	issued  time.Time
	empty   bool
	lists   map[string]*status.List
	last    int64 // number of the last entry about it, -1 if there is none
	lastNo  uint64
	lastSum string
	content int64 // number of the entry about this content, -1 if there is none
}

// Sums: three things are compared of each credential, each in one of many buckets.
const (
	factsSum = iota
	signedSum
	stateSum
	categories

	buckets = 1 << 14
)

// A sum is a sum of hashes modulo 2^128: whatever the order, the same.
type sum [2]uint64

func (k *checker) hash(parts ...string) (h sum) {
	d := sha256.New()
	d.Write(k.salt[:])
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		d.Write(n[:])
		d.Write([]byte(p))
	}
	var out [32]byte
	d.Sum(out[:0])
	return sum{binary.BigEndian.Uint64(out[:]), binary.BigEndian.Uint64(out[8:])}
}

func (s *sum) add(h sum) {
	var carry uint64
	s[1], carry = bits.Add64(s[1], h[1], 0)
	s[0], _ = bits.Add64(s[0], h[0], carry)
}

func (s *sum) sub(h sum) {
	var borrow uint64
	s[1], borrow = bits.Sub64(s[1], h[1], 0)
	s[0], _ = bits.Sub64(s[0], h[0], borrow)
}

// bucket is where a credential is counted.
func (k *checker) bucket(id string) int { return int(k.hash("bucket", id)[0] % buckets) }

func (k *checker) pages() error {
	if k.Pages == nil {
		return nil
	}
	said, err := k.Pages(k.ctx)
	for _, s := range said {
		k.find(Pages, "", "%.200s", s)
	}
	return err
}

func (k *checker) derived() error {
	if k.Derived == nil {
		return nil
	}
	said, err := k.Derived(k.ctx)
	for _, s := range said {
		k.find(Derived, "", "%.200s", s)
	}
	return err
}

func (k *checker) indexes() error {
	if k.Indexes == nil {
		return nil
	}
	said, err := k.Indexes(k.ctx)
	for _, s := range said {
		name, what, _ := strings.Cut(s, ": ")
		k.find(Index, name, "%.200s", what)
	}
	return err
}

func (k *checker) readProgrammes() error {
	err := k.rows("programme", func(r row) error {
		k.programmes[r.int("programme_no")] = r.text("programme_id")
		return nil
	})
	if err != nil {
		return err
	}
	return k.rows("programme_version", func(r row) error {
		id, text, digest := k.programmes[r.int("programme_no")], r.bytes("text"), r.bytes("digest")
		subject := fmt.Sprintf("%s version %d", id, r.int("version"))
		sum := sha256.Sum256(text)
		k.digests[id+" "+hex.EncodeToString(digest)] = false
		if !slices.Equal(sum[:], digest) {
			k.find(Programme, subject, "its text has another digest than was stored with it")
			return nil
		}
		p, err := programme.Parse(text)
		if err != nil {
			k.find(Programme, subject, "its text cannot be read: %v", err)
		} else if p.ID != id || int64(p.Version) != r.int("version") {
			k.find(Programme, subject, "its text is that of %s version %d", p.ID, p.Version)
		}
		return nil
	})
}

func (k *checker) readLists() error {
	return k.rows("status_list", func(r row) error {
		l := &list{
			uri: r.text("uri"), bits: int(r.int("bits")), size: uint64(r.int("size")), next: uint64(r.int("next_counter")),
			sealed: !r.null("sealed_at"), programme: k.programmes[r.int("programme_no")], form_: r.text("form"),
		}
		if l.size > 8*status.MaxBytes {
			return fmt.Errorf("list %.80s has %d slots", l.uri, l.size)
		}
		l.taken, l.revoked = make([]uint64, (l.size+63)/64), make([]uint64, (l.size+63)/64)
		k.lists[r.int("list_no")], k.byURI[l.uri] = l, l
		k.report.Lists++
		return nil
	})
}

// batch is what is known of a batch.
func (k *checker) batch(id string) *batch {
	b := k.byBatch[id]
	if b == nil {
		b = &batch{id: id, begun: -1, end: -1}
		k.byBatch[id] = b
	}
	return b
}

func (k *checker) readBatches() error {
	return k.rows("batch", func(r row) error {
		stored := issuance.Batch{State: issuance.BatchState(r.text("state")), Manifest: r.int("manifest_bytes")}
		b := k.batch(r.text("batch_id"))
		b.stored, b.ended, b.givenUp, b.issued = true, stored.State == issuance.BatchFinished, stored.GivenUp(), r.int("issued")
		k.batches[r.int("batch_no")] = b
		return nil
	})
}

func (k *checker) readPublications() error {
	return k.rows("publication", func(r row) error {
		content := r.bytes("content")
		p := &publication{
			name: r.text("name"), number: uint64(r.int("number")), digest: hex.EncodeToString(r.bytes("digest")), empty: len(content) == 0,
			last: -1, content: -1, issued: r.time("issued_at"),
		}
		k.published, k.named[p.name] = append(k.published, p), p
		k.report.Published++
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != p.digest {
			k.find(Publication, p.name, "its content has another digest than was stored with it")
			return nil
		}
		if p.empty {
			return nil // after a restore; see checkPublished
		}
		if err := k.open(p, r, content); err != nil {
			k.find(Publication, p.name, "number %d: %v", p.number, err)
		}
		return nil
	})
}

// open reads a publication as a verifier does.
func (k *checker) open(p *publication, r row, content []byte) error {
	var of []keys.PublicKey
	purpose := keys.StatusList
	if p.name == issuance.TrustName || p.name == issuance.PartName {
		purpose = keys.TrustBundle
	}
	for _, key := range k.Keys {
		if key.Purpose == purpose {
			of = append(of, key.Public)
		}
	}
	p.lists = map[string]*status.List{}
	var snapshots []status.Snapshot
	switch p.name {
	case issuance.TrustName:
		b, err := trust.Open(content)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(of, func(own keys.PublicKey) bool { return slices.ContainsFunc(b.Root.BundleKeys, own.Equal) }) {
			return fmt.Errorf("its root names no bundle key of the keystore")
		}
		if b.Version > p.number {
			return fmt.Errorf("it says that it is version %d", b.Version)
		}
		snapshots = b.Status
	case issuance.PartName:
		var part *trust.Contribution
		err := fmt.Errorf("there is no bundle key in the keystore")
		for _, own := range of {
			if part, err = trust.OpenContribution(content, own); err == nil {
				break
			}
		}
		if err != nil {
			return err
		}
		snapshots = part.Status
	default:
		t, err := issuance.OpenList(p.name, content, of)
		if err != nil {
			return err
		}
		if r.time("issued_at").Before(t.IssuedAt) {
			return fmt.Errorf("it says that it is of %s", t.IssuedAt)
		}
		p.lists[t.URI] = t.List
	}
	for _, s := range snapshots {
		if k.byURI[s.URI] == nil {
			continue // of another issuer
		}
		l, err := s.Open(0)
		if err != nil {
			return fmt.Errorf("list %s: %w", s.URI, err)
		}
		p.lists[s.URI] = l
	}
	for uri, l := range p.lists {
		if own := k.byURI[uri]; own == nil || own.size != l.Size() || own.bits != l.Bits() {
			delete(p.lists, uri)
			return fmt.Errorf("list %s has another shape than the store's", uri)
		}
	}
	return nil
}

func (k *checker) readCheckpoints() error {
	return k.rows("audit_checkpoint", func(r row) error {
		size, hash := r.int("size"), r.bytes("root")
		k.report.Checkpoints++
		c, err := audit.OpenCheckpoint(r.bytes("note"), k.LogKeys)
		switch {
		case err != nil:
			k.find(Checkpoint, fmt.Sprint(size), "%v", err)
		case len(hash) != len(c.Root) || c.Size != size || c.Root != audit.Hash(hash):
			k.find(Checkpoint, fmt.Sprint(size), "it was signed over %d entries with another root", c.Size)
		default:
			k.roots[size] = root{hash: c.Root}
		}
		return nil
	})
}

// A cred is one credential as the store has it, put together from its forms.
type cred struct {
	no, batch                    int64
	id, programme, record, state string
	reason, batchID, key         string
	version, row                 int64
	issued, expires              time.Time // expires is zero where it does not end
	idempotency, detail          string    // as in the log
	tbs, signed                  [][]byte
	slots                        []audit.SlotRef
	unsigned                     bool
}

// eachCredential reads the credentials of the store.
func (k *checker) eachCredential(f func(c *cred, r row, form bool)) error {
	var c cred
	have := false
	err := k.rows("credentials", func(r row) error {
		if no := r.int("credential_no"); !have || no != c.no {
			if have {
				f(&c, r, false)
			}
			have = true
			c = cred{
				no: no, id: r.text("credential_id"), programme: k.programmes[r.int("programme_no")], record: hex.EncodeToString(r.bytes("record_ref")),
				state: r.text("state"), reason: r.text("reason"), batch: r.int("batch_no"), version: r.int("version"), row: r.int("batch_row"),
				issued: time.UnixMilli(r.int("issued_at")), idempotency: hex.EncodeToString(r.bytes("idempotency_key")),
				detail: issuance.IntentDetail(r.text("part_of"), r.text("supersedes")),
			}
			if !r.null("expires_at") {
				c.expires = time.UnixMilli(r.int("expires_at"))
			}
			if b := k.batches[c.batch]; b != nil {
				c.batchID = b.id
			}
		}
		if r.null("form_no") {
			return nil
		}
		key, tbs, signed := r.bytes("key_id"), r.bytes("to_be_signed"), r.bytes("signed")
		if len(c.tbs) == 0 {
			c.key = hex.EncodeToString(key)
		}
		c.tbs, c.signed = append(c.tbs, tbs), append(c.signed, signed)
		c.unsigned = c.unsigned || len(strings.Trim(string(signed), "\x00")) == 0
		if l := k.lists[r.int("list_no")]; l != nil {
			c.slots = append(c.slots, audit.SlotRef{URI: l.uri, Index: uint64(r.int("slot_index"))})
		}
		f(&c, r, true)
		return nil
	})
	if err == nil && have {
		f(&c, row{}, false)
	}
	return err
}

func (k *checker) readCredentials() error {
	return k.eachCredential(func(c *cred, r row, form bool) {
		if form {
			k.form(c, r)
			return
		}
		k.report.Credentials++
		at := k.bucket(c.id)
		facts, signed, state := k.says(c)
		k.sums[factsSum][at].add(facts)
		if signed != nil {
			k.sums[signedSum][at].add(*signed)
		}
		if state != nil {
			k.sums[stateSum][at].add(*state)
		}
		if b := k.batches[c.batch]; b != nil && !c.unsigned && c.reason != string(issuance.Leftover) {
			b.counted++
		}
	})
}

// form looks at the slot and the key of one form.
func (k *checker) form(c *cred, r row) {
	if c.state == string(issuance.Active) || c.state == string(issuance.Suspended) {
		if b := r.bytes("key_id"); len(b) == len(keys.ID{}) {
			k.used[keys.ID(b)]++
		}
	}
	value := map[string]int64{"revoked": 1, "suspended": 2}[c.state]
	if got := r.int("slot_value"); got != value {
		k.find(SlotValue, c.id, "it is %s and its slot says %d", c.state, got)
	}
	if r.null("list_no") {
		return
	}
	l, index := k.lists[r.int("list_no")], uint64(r.int("slot_index"))
	if l == nil || index >= l.size {
		k.find(SlotRange, c.id, "slot %d", index)
		return
	}
	word, bit := index/64, uint64(1)<<(index%64)
	if l.taken[word]&bit != 0 {
		k.find(SlotTwice, c.id, "slot %d of %s belongs to another credential, too", index, l.uri)
	}
	l.taken[word] |= bit
	if c.state == string(issuance.Revoked) {
		l.revoked[word] |= bit
	}
}

// says is what the store says of a credential, as the log would say it.
func (k *checker) says(c *cred) (facts sum, signed, state *sum) {
	facts = k.factsOf(&audit.Event{
		Credential: c.id, Programme: c.programme, Version: int(c.version), Record: c.record, Batch: c.batchID, Row: c.row, Key: c.key,
		Expires: c.expires, Idempotency: c.idempotency, Digest: joined(c.tbs), Detail: c.detail, Slots: c.slots,
	}, c.issued)
	if !c.unsigned && len(c.signed) > 0 {
		h := k.hash("signed", c.id, joined(c.signed))
		signed = &h
	}
	if c.state == string(issuance.Revoked) || c.state == string(issuance.Suspended) {
		h := k.hash(c.state, c.id, c.reason)
		state = &h
	}
	return facts, signed, state
}

// factsOf is what the entry of an intent says of its credential.
func (k *checker) factsOf(e *audit.Event, issued time.Time) sum {
	expires := ""
	if !e.Expires.IsZero() {
		expires = fmt.Sprint(e.Expires.UnixMilli())
	}
	relation := e.Detail
	if !strings.HasPrefix(relation, issuance.BelongsTo) && !strings.HasPrefix(relation, issuance.InPlaceOf) {
		relation = "" // words for the auditor
	}
	parts := []string{
		"facts", e.Credential, fmt.Sprint(issued.UnixMilli()), e.Programme, fmt.Sprint(e.Version), e.Record, e.Batch, fmt.Sprint(e.Row), e.Key, expires, e.Idempotency, e.Digest, relation,
	}
	for _, s := range e.Slots {
		parts = append(parts, s.URI, fmt.Sprint(s.Index))
	}
	return k.hash(parts...)
}

// joined is the digest that the log gives for the digests of all forms.
func joined(digests [][]byte) string {
	if len(digests) == 1 {
		return hex.EncodeToString(digests[0])
	}
	sum := sha256.Sum256(slices.Concat(digests...))
	return hex.EncodeToString(sum[:])
}
