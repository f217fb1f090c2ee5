package proof

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// A rule is something that the checker holds the issuer to.
type rule string

const (
	// What the client received.
	notRecorded rule = "received, and not recorded"
	notSigned   rule = "received, and never marked as signed"
	otherSlot   rule = "the slot in the bytes is not that of the record"
	badReceived rule = "handed over, and not readable"
	badManifest rule = "the manifest is not what was handed over"
	// What the database says.
	slotTwice    rule = "a slot was given out twice"
	slotBeyond   rule = "a slot beyond what its list has given out"
	slotValue    rule = "the slot does not follow the state of its credential"
	heldTwice    rule = "a record holds two credentials"
	halfSigned   rule = "in use without a signature on record"
	leftIntended rule = "intended after a sweep"
	batchCount   rule = "a batch counts other than its credentials"
	looseCopies  rule = "copies belong to no credential of their record"
	otherFate    rule = "copies are usable when their credential is not, or the reverse"
	// What the audit log says.
	badLog      rule = "the audit log is broken"
	forkedLog   rule = "the audit log does not continue a checkpoint"
	otherState  rule = "the state is not what the audit log says"
	otherSlots  rule = "the slots are not those of the audit log"
	notLogged   rule = "a credential that the audit log does not know"
	badSequence rule = "the audit log tells of a change that is not allowed"
	otherWhole  rule = "copies belong to another credential than the audit log says"
	// What was published.
	badPublished rule = "published, and not readable"
	unlogged     rule = "published, and not in the audit log"
	wentBack     rule = "a publication went back"
	notServed    rule = "put where it is served, and not there"
	lostRevoke   rule = "an acknowledged revocation is missing from a later list"
	otherList    rule = "a list is not the state of its time"
	otherCurrent rule = "the database has another publication than the audit log"
)

// rules is every rule, for the test of the checker.
var rules = []rule{
	notRecorded, notSigned, otherSlot, badReceived, badManifest, slotTwice, slotBeyond, slotValue, heldTwice, halfSigned, leftIntended,
	batchCount, badLog, forkedLog, otherState, otherSlots, notLogged, badSequence, badPublished, unlogged, wentBack, notServed, lostRevoke, otherList,
	otherCurrent, looseCopies, otherFate, otherWhole,
}

// A violation is one rule broken once.
type violation struct {
	rule   rule
	detail string
}

func (v violation) String() string { return string(v.rule) + ": " + v.detail }

// A scene is all that a checker looks at: the database and what the client kept.
type scene struct {
	// store is the path of an SQLite database that nobody has open for writing, or
	// the URL of a PostgreSQL database.
	store string
	ledger
	// settled is set once a process has swept and nothing runs: no credential may
	// be on its way then.
	settled bool
	// finished is set if every batch of the ledger has come to its end.
	finished bool
}

// A checker looks at a scene. It keeps a few dozen bytes a credential.
type checker struct {
	scene
	found  []violation
	counts map[rule]int

	creds []cred
	byID  map[credID]int32
	forms map[digest]form // by the hash of what was signed
	lists []*list
	byURI map[string]*list

	log logReader
	// What was published, in the order in which the client asked for it.
	published []*published
	byDigest  map[[32]byte]*published
	acked     map[credID][]form // the slots of credentials in ledger.acks
	// Of credentials that are copies for a wallet, made after the rest: what they belong
	// to, by the database and by the log.
	wholes, loggedWholes map[int32]credID
}

// credID is a credential id as it is written.
type credID [26]byte

// A digest is the first half of a SHA-256.
type digest [16]byte

func short(sum []byte) (d digest) {
	copy(d[:], sum)
	return d
}

func digestOf(b []byte) digest {
	sum := sha256.Sum256(b)
	return short(sum[:])
}

// A state is where a credential stands.
type state byte

const (
	unknown state = iota
	intended
	active
	suspended
	revoked
)

var stateNames = map[string]state{"intended": intended, "active": active, "suspended": suspended, "revoked": revoked}

func (s state) String() string {
	for name, n := range stateNames {
		if n == s {
			return name
		}
	}
	return "unknown"
}

// value is what a status list says of a credential in this state.
func (s state) value() byte {
	switch s {
	case revoked:
		return 1
	case suspended:
		return 2
	}
	return 0
}

// A cred is a credential as the database has it and as the log tells.
type cred struct {
	id            credID
	record        digest
	batch         int64
	state, logged state
	signed        bool // by the log, at any time
	many          bool
	slots, byLog  uint64 // a hash of its slots
}

// A form is where a signed form stands.
type form struct {
	cred, list int32
	slot       uint32
}

// A list is a status list: what the database says of it, and its values at the
// point of the log that was reached.
type list struct {
	no         int64
	uri        string
	bits, size uint64
	next       uint64
	used       bitset // slots in the database
	logged     bitset // slots in the log
	values     []byte // as the standard has it
}

// A bitset is a set of small numbers.
type bitset []uint64

// add adds n and reports whether it was in the set before.
func (b bitset) add(n uint64) bool {
	was := b[n/64]&(1<<(n%64)) != 0
	b[n/64] |= 1 << (n % 64)
	return was
}

func newBitset(size uint64) bitset { return make(bitset, size/64+1) }

func (l *list) set(slot uint64, value byte) {
	at, shift := slot*l.bits/8, slot*l.bits%8
	mask := byte(1<<l.bits-1) << shift
	l.values[at] = l.values[at]&^mask | value<<shift&mask
}

func valueAt(bytes []byte, bits, slot uint64) byte {
	return bytes[slot*bits/8] >> (slot * bits % 8) & byte(1<<bits-1)
}

// maxFound is how many violations of a rule are told in full.
const maxFound = 20

func (c *checker) report(r rule, format string, args ...any) {
	if c.counts[r]++; c.counts[r] <= maxFound {
		c.found = append(c.found, violation{r, fmt.Sprintf(format, args...)})
	}
}

// check looks at a scene and returns what is wrong with it. An error means that
// it could not look.
func check(ctx context.Context, s scene) ([]violation, error) {
	c := &checker{
		scene: s, counts: map[rule]int{}, byID: map[credID]int32{}, forms: map[digest]form{}, byURI: map[string]*list{}, acked: map[credID][]form{},
		byDigest: map[[32]byte]*published{}, wholes: map[int32]credID{}, loggedWholes: map[int32]credID{},
	}
	for _, a := range s.acks {
		c.acked[toID(a.id)] = nil
	}
	db, done, err := openOwn(ctx, s.store)
	if err != nil {
		return nil, fmt.Errorf("checker: open the database: %w", err)
	}
	defer done()
	for _, step := range []func(context.Context, database) error{
		c.readLists, c.readCredentials, c.readForms, c.readBatches, c.readPublished, c.readLog, c.readHashes, c.readCurrent,
	} {
		if err := step(ctx, db); err != nil {
			return nil, fmt.Errorf("checker: %w", err)
		}
	}
	c.compare()
	c.compareCopies()
	c.comparePublished()
	if err := c.readExports(); err != nil {
		return nil, fmt.Errorf("checker: %w", err)
	}
	if err := c.readReceived(); err != nil {
		return nil, fmt.Errorf("checker: %w", err)
	}
	for r, n := range c.counts {
		if n > maxFound {
			c.found = append(c.found, violation{r, fmt.Sprintf("and %d more", n-maxFound)})
		}
	}
	return c.found, nil
}

// compare holds the database to the log.
func (c *checker) compare() {
	live := map[digest]int32{}
	for i := range c.creds {
		k := &c.creds[i]
		switch {
		case k.logged == unknown:
			c.report(notLogged, "%s", k.id)
		case k.logged != k.state:
			c.report(otherState, "%s is %s, by the log %s", k.id, k.state, k.logged)
		case k.slots != k.byLog:
			c.report(otherSlots, "%s", k.id)
		}
		if k.state == intended && c.settled {
			c.report(leftIntended, "%s", k.id)
		}
		if k.many || k.state == revoked {
			continue
		}
		if other, held := live[k.record]; held {
			c.report(heldTwice, "%s and %s", c.creds[other].id, k.id)
		}
		live[k.record] = int32(i)
	}
}

// compareCopies holds copies to the credential that they belong to.
func (c *checker) compareCopies() {
	for i, id := range c.wholes {
		k := &c.creds[i]
		at, found := c.byID[id]
		if _, nested := c.wholes[at]; !found || nested || c.creds[at].record != k.record {
			c.report(looseCopies, "%s belongs to %s", k.id, id)
			continue
		}
		if c.loggedWholes[i] != id {
			c.report(otherWhole, "%s belongs to %s, by the log to %.26q", k.id, id, c.loggedWholes[i])
		}
		if !k.state.follows(c.creds[at].state) {
			c.report(otherFate, "%s is %s and %s, to which it belongs, %s", k.id, k.state, id, c.creds[at].state)
		}
	}
	for i, id := range c.loggedWholes {
		if _, known := c.wholes[i]; !known {
			c.report(otherWhole, "%s belongs to %s by the log only", c.creds[i].id, id)
		}
	}
}

// loggedFates looks at copies and their credentials at the point of the log that was
// reached.
func (c *checker) loggedFates(n int64) {
	for i, id := range c.loggedWholes {
		if at, found := c.byID[id]; found && !c.creds[i].logged.follows(c.creds[at].logged) {
			c.report(otherFate, "at entry %d %s is %s and %s, to which it belongs, %s", n, c.creds[i].id, c.creds[i].logged, id, c.creds[at].logged)
		}
	}
}

// follows reports whether copies may be in state s when their credential is in the
// state of: once they are in use, what happens to it happens to them. Those that were
// never released are revoked by themselves.
func (s state) follows(of state) bool {
	return s == of || s == intended || s == revoked && of != unknown
}

// texts are the details of violations, for a message.
func texts(found []violation) string {
	var b strings.Builder
	for _, v := range found {
		fmt.Fprintf(&b, "\n  %s", v)
	}
	return b.String()
}

// broken are the rules that were broken.
func broken(found []violation) []rule {
	var all []rule
	for _, v := range found {
		if !slices.Contains(all, v.rule) {
			all = append(all, v.rule)
		}
	}
	return all
}

func (id credID) String() string { return string(id[:]) }

func toID(s string) (id credID) {
	copy(id[:], s)
	return id
}
