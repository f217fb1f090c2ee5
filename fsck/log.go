package fsck

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
)

// segment is how many hashes of the log's tree are compared at once.
const segment = 1 << 14

// errBroken ends the reading of a log that cannot be read on; a finding says why.
var errBroken = errors.New("broken")

// eachEntry reads the entries of the log in their order.
func (k *checker) eachEntry(f func(n int64, line string, e *audit.Event) error) error {
	next := int64(0)
	var last time.Time
	err := k.rows("audit_block", func(r row) error {
		first, count, text := r.int("first_entry"), r.int("entry_count"), r.text("entries")
		if first != next {
			k.find(AuditEntry, fmt.Sprint(next), "the log has a gap: entry %d follows", first)
			return errBroken
		}
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			n, e, err := audit.ParseEntry([]byte(line))
			switch {
			case err != nil:
				k.find(AuditEntry, fmt.Sprint(next), "%v", err)
				return errBroken
			case n != next:
				k.find(AuditEntry, fmt.Sprint(next), "entry %d stands in its place", n)
				return errBroken
			case e.Time.Before(last) && !k.again:
				k.find(AuditEntry, fmt.Sprint(next), "its time is before that of the entry before")
			}
			last = e.Time
			if err := f(n, line, &e); err != nil {
				return err
			}
			next++
		}
		if next-first != count {
			k.find(AuditEntry, fmt.Sprint(first), "its block has %d entries and should have %d", next-first, count)
			return errBroken
		}
		return nil
	})
	if errors.Is(err, errBroken) {
		k.broken = true
		return nil
	}
	return err
}

// readLog reads the log for the first time.
func (k *checker) readLog() error {
	k.restored = -1
	var tree audit.Tree
	segments := segmenter{done: func(sum [32]byte) { k.segments = append(k.segments, sum) }}
	journal := k.openJournal()
	defer journal.stop()
	err := k.eachEntry(func(n int64, line string, e *audit.Event) error {
		k.passCheckpoint(tree.Head())
		for _, h := range tree.Add([]byte(line)) {
			segments.add(h[:])
		}
		k.note(n, e)
		return journal.compare(k, n, line)
	})
	if err != nil {
		return err
	}
	k.passCheckpoint(tree.Head())
	segments.flush()
	k.hashes = segments.n
	head := tree.Head()
	k.report.Entries, k.report.Root = head.Size, head.Root.String()
	for size, r := range k.roots {
		if !r.seen && !k.broken {
			k.find(Checkpoint, fmt.Sprint(size), "the log has %d entries only", head.Size)
		}
	}
	for id, reason := range k.suspended {
		k.sums[stateSum][k.bucket(id)].sub(k.hash(string(issuance.Suspended), id, reason))
	}
	if k.broken {
		return nil
	}
	return journal.end(k, head.Size)
}

func (k *checker) passCheckpoint(h audit.Head) {
	r, ok := k.roots[h.Size]
	if !ok || r.seen {
		return
	}
	if r.hash != h.Root {
		k.find(Checkpoint, fmt.Sprint(h.Size), "the first %d entries are not those that it was signed over", h.Size)
	}
	k.roots[h.Size] = root{r.hash, true}
}

// note takes an entry into the sums.
func (k *checker) note(n int64, e *audit.Event) {
	id := e.Credential
	switch e.Kind {
	case audit.CredentialIntended:
		k.sums[factsSum][k.bucket(id)].sub(k.factsOf(e, issuance.IssuedAt(e)))
	case audit.CredentialSigned:
		k.sums[signedSum][k.bucket(id)].sub(k.hash("signed", id, e.Digest))
	case audit.CredentialRevoked, audit.CredentialSuperseded, audit.CredentialLeftover:
		delete(k.suspended, id)
		k.sums[stateSum][k.bucket(id)].sub(k.hash(string(issuance.Revoked), id, e.Reason))
	case audit.CredentialSuspended:
		k.suspended[id] = e.Reason
	case audit.CredentialResumed:
		delete(k.suspended, id)
	case audit.ProgrammeAdded:
		name := e.Programme + " " + e.Digest
		if _, ok := k.digests[name]; !ok {
			k.find(Programme, e.Programme, "the log says that a text with the SHA-256 %s was added", e.Digest)
		}
		k.digests[name] = true
	case audit.BatchStarted:
		k.batch(e.Batch).begun = n
	case audit.BatchFinished, audit.BatchGivenUp:
		b := k.batch(e.Batch)
		b.end, b.endKind, b.endIssued = n, e.Kind, int64(e.Count)
	case audit.IssuerRestored:
		k.restored = n
	case audit.TrustPublished, audit.StatusPublished:
		k.noteFile(e)
		if p := k.named[publicationName(e, k.named)]; p != nil {
			p.last, p.lastSum, p.lastNo = n, e.Digest, publicationNumber(e)
			if e.Digest == p.digest {
				p.content = n
			}
		}
	}
}

// publicationName is the name of the publication that an entry is about.
func publicationName(e *audit.Event, known map[string]*publication) string {
	switch {
	case e.Kind == audit.TrustPublished && strings.HasPrefix(e.Detail, "part "):
		return issuance.PartName
	case e.Kind == audit.TrustPublished:
		return issuance.TrustName
	}
	_, uri, _ := strings.Cut(e.Detail, " of ")
	if known[uri] != nil {
		return uri
	}
	uri = strings.TrimSuffix(uri, "…") // older entries cut long addresses off
	found := ""
	for name, p := range known {
		if !strings.HasPrefix(name, uri) {
			continue
		}
		if p.digest == e.Digest {
			return name
		}
		if found != "" {
			return "" // it cannot be told which
		}
		found = name
	}
	return found
}

func publicationNumber(e *audit.Event) uint64 {
	if e.Version > 0 {
		return uint64(e.Version)
	}
	var n uint64
	for _, form := range []string{"version %d", "part %d", "number %d"} {
		if got, _ := fmt.Sscanf(e.Detail, form, &n); got == 1 {
			break
		}
	}
	return n
}

// A segmenter digests a sequence of hashes in segments.
type segmenter struct {
	n    int64
	sum  hash.Hash
	done func([32]byte)
}

func (s *segmenter) add(h []byte) {
	if s.sum == nil {
		s.sum = sha256.New()
	}
	s.sum.Write(h)
	if s.n++; s.n%segment == 0 {
		s.flush()
	}
}

func (s *segmenter) flush() {
	if s.sum != nil {
		s.done([32]byte(s.sum.Sum(nil)))
		s.sum = nil
	}
}

// readHashes compares the stored hashes of the log's tree with those of its entries.
func (k *checker) readHashes() error {
	if k.broken {
		return nil
	}
	i := 0
	s := segmenter{done: func(sum [32]byte) {
		if i < len(k.segments) && k.segments[i] != sum {
			k.find(AuditHash, fmt.Sprint(i*segment), "one of the %d hashes from there on is not that of its entries", segment)
		}
		i++
	}}
	err := k.rows("audit_hashes", func(r row) error {
		b := r.bytes("hashes")
		if first := r.int("first_hash"); first != s.n || len(b)%32 != 0 {
			k.find(AuditHash, fmt.Sprint(s.n), "hashes are missing: %d follows", first)
			return errBroken
		}
		for ; len(b) >= 32; b = b[32:] {
			s.add(b[:32])
		}
		return nil
	})
	if errors.Is(err, errBroken) {
		return nil
	}
	if err != nil {
		return err
	}
	s.flush()
	if s.n != k.hashes {
		k.find(AuditHash, fmt.Sprint(s.n), "%d hashes are stored, the entries make %d", s.n, k.hashes)
	}
	return nil
}

// A journalReader goes along with the log.
type journalReader struct {
	next func() ([]byte, error, bool)
	stop func()
	over bool
}

func (k *checker) openJournal() *journalReader {
	if k.Journal == nil {
		return &journalReader{over: true, stop: func() {}}
	}
	j := &journalReader{}
	j.next, j.stop = iter.Pull2(k.Journal.Entries(k.ctx, 0))
	return j
}

// compare compares one entry with the journal's.
func (j *journalReader) compare(k *checker, n int64, line string) error {
	if j.over {
		return nil
	}
	entry, err, ok := j.next()
	switch {
	case !ok:
		j.over = true
		k.report.Journal = n
		k.find(JournalBehind, fmt.Sprint(n), "the journal has %d entries and the log more", n)
	case err != nil:
		return fmt.Errorf("read the journal: %w", err)
	case string(entry) != line:
		j.over = true
		k.find(JournalDiffers, fmt.Sprint(n), "the journal has another entry with this number")
	default:
		k.report.Journal = n + 1
	}
	return nil
}

// end looks whether the journal goes on behind the log with what was confirmed.
// What was not is work that goes on.
func (j *journalReader) end(k *checker, size int64) error {
	if j.over || k.Journal.Size() <= size {
		return nil
	}
	k.find(JournalAhead, fmt.Sprint(size), "the journal has %d entries that the database had confirmed, the log has %d", k.Journal.Size(), size)
	return nil
}

// checkSlots asks of each slot whether the counter of its list has given it out.
func (k *checker) checkSlots() error {
	for _, uri := range slices.Sorted(maps.Keys(k.byURI)) {
		l := k.byURI[uri]
		secret, err := k.Secret("status list " + uri)
		if err != nil {
			return fmt.Errorf("secret of a status list: %w", err)
		}
		p, err := status.NewPermutation(secret, l.size)
		if err != nil {
			return fmt.Errorf("list %s: %w", uri, err)
		}
		for word, set := range l.taken {
			for bit := range uint64(64) {
				if set>>bit&1 == 0 {
					continue
				}
				index := uint64(word)*64 + bit
				if counter := p.Counter(index); counter >= l.next {
					k.find(SlotCounter, uri, "slot %d is the one of counter %d, and only %d were given out", index, counter, l.next)
				}
			}
		}
	}
	return nil
}

// checkPublished compares publications with the log and with the store.
func (k *checker) checkPublished() error {
	for _, p := range k.published {
		raised := k.restored > p.last // a restore may raise numbers above what is known
		switch {
		case k.broken:
		case p.last < 0 && !raised:
			k.find(PublicationLog, p.name, "number %d is not in the log", p.number)
		case p.number < p.lastNo || p.number > p.lastNo && !raised:
			k.find(PublicationLog, p.name, "it is number %d, by the log %d", p.number, p.lastNo)
		case !raised && p.digest != p.lastSum:
			k.find(PublicationLog, p.name, "number %d has another digest in the log", p.number)
		case raised && !p.empty && p.content < 0:
			k.find(PublicationLog, p.name, "the log knows no publication with this content")
		}
		for uri, l := range p.lists {
			own := k.byURI[uri]
			for word, set := range own.revoked {
				for bit := range uint64(64) {
					index := uint64(word)*64 + bit
					if index >= own.size || set>>bit&1 == 1 {
						continue
					}
					if v, err := l.Get(index); err != nil {
						return err
					} else if v == status.Invalid {
						k.find(Overrevoked, p.name, "slot %d of %s, which no revoked credential has", index, uri)
					}
				}
			}
		}
	}
	return nil
}

// checkRest compares what is left to be compared.
func (k *checker) checkRest() error {
	for name, seen := range k.digests {
		if !seen && !k.broken {
			id, digest, _ := strings.Cut(name, " ")
			k.find(Programme, id, "the log does not know its text with the SHA-256 %s", digest)
		}
	}
	for _, b := range k.batches {
		if b.issued != b.counted && (b.ended || b.issued > b.counted) {
			k.find(Batch, b.id, "it says that it issued %d, and %d credentials are its", b.issued, b.counted)
		}
	}
	if !k.broken {
		for _, id := range slices.Sorted(maps.Keys(k.byBatch)) {
			k.checkBatch(k.byBatch[id])
		}
	}
	for id, n := range k.used {
		if !slices.ContainsFunc(k.Keys, func(key keys.Key) bool { return key.ID() == id }) {
			k.find(KeyMissing, id.String(), "%d forms of credentials in force are signed with it", n)
		}
	}
	return nil
}

// checkBatch compares how a batch stands with what the log says. Before there was an entry
// for a batch that was given up, a restore closed all that had no end in its backup.
func (k *checker) checkBatch(b *batch) {
	logged := max(b.begun, b.end)
	unlogged := b.givenUp && b.endKind != audit.BatchGivenUp && k.restored > logged
	switch {
	case !b.stored:
		k.find(Batch, b.id, "the log has it, the store does not")
	case b.begun < 0:
		k.find(Batch, b.id, "the store has it, the log never began it")
	case unlogged:
	case b.ended && b.end < 0:
		k.find(Batch, b.id, "it has ended, by the log it is under way")
	case !b.ended && b.end >= 0:
		k.find(Batch, b.id, "it is under way, by the log it has ended")
	case b.givenUp != (b.endKind == audit.BatchGivenUp):
		k.find(Batch, b.id, "the log says %s", b.endKind)
	case b.ended && b.issued != b.endIssued:
		k.find(Batch, b.id, "it says that it issued %d, the log says %d", b.issued, b.endIssued)
	}
}

// worst is in how many buckets names are looked for.
const worst = 64

// A witness is what the two sides say of one credential.
type witness struct {
	store, log                   bool
	times                        int
	facts, signed, state         [2]sum
	storeState, logState, reason string
}

// second reads log and credentials again: revocations must be in every publication
// after them, and where sums differ it names the credentials.
func (k *checker) second() error {
	if k.broken {
		return nil // what comes behind the break nobody knows
	}
	suspects := map[int]bool{}
	for c := range categories {
		for b, s := range k.sums[c] {
			if s != (sum{}) && len(suspects) < worst {
				suspects[b] = true
			}
		}
	}
	lists := slices.ContainsFunc(k.published, func(p *publication) bool { return len(p.lists) > 0 && p.content >= 0 })
	if len(suspects) == 0 && !lists {
		return nil
	}
	seen := map[string]*witness{}
	of := func(id string) *witness {
		if !suspects[k.bucket(id)] {
			return nil
		}
		w := seen[id]
		if w == nil {
			w = &witness{}
			seen[id] = w
		}
		return w
	}
	k.again = true
	err := k.eachEntry(func(n int64, _ string, e *audit.Event) error {
		k.checkRevocation(n, e)
		if strings.HasPrefix(string(e.Kind), "credential.") {
			if w := of(e.Credential); w != nil {
				w.entry(k, e)
			}
		}
		return nil
	})
	if err != nil || len(suspects) == 0 {
		return err
	}
	err = k.eachCredential(func(c *cred, _ row, form bool) {
		if form {
			return
		}
		if w := of(c.id); w != nil {
			w.store, w.storeState = true, strings.TrimSpace(c.state+" "+c.reason)
			facts, signed, state := k.says(c)
			w.facts[0] = facts
			if signed != nil {
				w.signed[0] = *signed
			}
			if state != nil {
				w.state[0] = *state
			}
		}
	})
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(seen)) {
		seen[id].judge(k, id)
	}
	return nil
}

// entry is what the log says.
func (w *witness) entry(k *checker, e *audit.Event) {
	switch e.Kind {
	case audit.CredentialIntended:
		w.log = true
		w.times++
		w.facts[1].add(k.factsOf(e, issuance.IssuedAt(e)))
	case audit.CredentialSigned:
		w.signed[1].add(k.hash("signed", e.Credential, e.Digest))
	case audit.CredentialRevoked, audit.CredentialSuperseded, audit.CredentialLeftover:
		w.logState = "revoked " + e.Reason
		if w.reason != "" {
			w.state[1], w.reason = sum{}, ""
		}
		w.state[1].add(k.hash(string(issuance.Revoked), e.Credential, e.Reason))
	case audit.CredentialSuspended:
		w.logState, w.reason = "suspended "+e.Reason, e.Reason
		w.state[1] = k.hash(string(issuance.Suspended), e.Credential, e.Reason)
	case audit.CredentialResumed:
		w.logState, w.reason, w.state[1] = "resumed", "", sum{}
	}
}

// judge says what is wrong with a credential, if anything is.
func (w *witness) judge(k *checker, id string) {
	switch {
	case w.store && !w.log:
		k.find(NotInLog, id, "the store has it, the log never intended it")
		return
	case !w.store:
		k.find(NotInStore, id, "the log has it, the store does not")
		return
	}
	if w.facts[0] != w.facts[1] {
		detail := "record, programme, date of issue, batch and row, key, slots, end, idempotency key, what was to be signed or what it is a part of or replaces are not those of its entry"
		if w.times > 1 {
			detail = fmt.Sprintf("the log has it %d times", w.times)
		}
		k.find(Facts, id, "%s", detail)
	}
	if w.signed[0] != w.signed[1] {
		k.find(Signed, id, "what was signed, or whether, is not what its entry says")
	}
	if w.state[0] != w.state[1] {
		logState := w.logState
		if logState == "" {
			logState = "neither suspended nor revoked"
		}
		k.find(State, id, "the store says %s, the log %s", w.storeState, logState)
	}
}

// checkRevocation asks each publication behind an entry that revokes whether it
// shows it.
func (k *checker) checkRevocation(n int64, e *audit.Event) {
	switch e.Kind {
	case audit.CredentialRevoked, audit.CredentialSuperseded, audit.CredentialLeftover:
	default:
		return
	}
	for _, p := range k.published {
		if n >= p.content {
			continue
		}
		for _, s := range e.Slots {
			l := p.lists[s.URI]
			if l == nil {
				continue
			}
			if v, err := l.Get(s.Index); err != nil || v != status.Invalid {
				k.find(Unrevoked, p.name, "number %d does not show that %s was revoked before it", p.number, e.Credential)
			}
		}
	}
}
