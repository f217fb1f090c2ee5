package proof

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/trust"
)

// readPublished reads every file that was published and looks in each for the
// revocations that had been acknowledged before it was asked for.
func (c *checker) readPublished(context.Context, database) error {
	slices.SortFunc(c.acks, func(a, b ack) int { return cmp.Compare(a.at, b.at) })
	for i := range c.copies {
		p := &c.copies[i]
		file, err := os.ReadFile(p.path)
		if err != nil {
			return err
		}
		shown, err := p.read(file)
		if err != nil {
			c.report(badPublished, "%s: %v", p.path, err)
			continue
		}
		c.published = append(c.published, p)
		if first := c.byDigest[sha256.Sum256(file)]; first != nil {
			p.same = first // the same file, seen again
		} else {
			c.byDigest[sha256.Sum256(file)] = p
		}
		if !p.served {
			c.showRevoked(p, shown)
		}
	}
	return nil
}

// showRevoked looks for the revocations that were acknowledged before p.
func (c *checker) showRevoked(p *published, shown map[string]*status.List) {
	byList := make([][]byte, len(c.lists))
	for i, l := range c.lists {
		if s := shown[l.uri]; s != nil {
			byList[i] = s.Bytes()
		}
	}
	for _, a := range c.acks {
		if a.at >= p.began {
			break
		}
		for _, f := range c.acked[toID(a.id)] {
			l := c.lists[f.list]
			if byList[f.list] == nil {
				if p.name == "trust" {
					c.report(lostRevoke, "%s has no list for %s", p.path, a.id)
				}
				continue
			}
			if v := valueAt(byList[f.list], l.bits, uint64(f.slot)); v != 1 {
				c.report(lostRevoke, "%s shows %s, revoked before, as %d", p.path, a.id, v)
			}
		}
	}
}

// read takes the file apart.
func (p *published) read(file []byte) (map[string]*status.List, error) {
	p.lists = map[string][32]byte{}
	shown := map[string]*status.List{}
	token, err := status.ParseToken(file, 0)
	if err != nil {
		token, err = status.ParseJWT(string(file), 0)
	}
	if err == nil {
		p.name, p.date = token.URI, token.IssuedAt
		p.lists[token.URI] = token.List.SHA256()
		shown[token.URI] = token.List
		return shown, nil
	}
	b, err := trust.Open(file)
	if err != nil {
		return nil, err
	}
	p.name, p.number, p.date = "trust", int64(b.Version), b.AsOf
	for _, s := range b.Status {
		l, _, ok := b.StatusList(s.URI)
		if !ok {
			return nil, fmt.Errorf("the list %s cannot be opened", s.URI)
		}
		p.lists[s.URI] = l.SHA256()
		shown[s.URI] = l
	}
	return shown, nil
}

// comparePublished holds the order in which things were received to the order
// in which they were made.
func (c *checker) comparePublished() {
	for _, p := range c.published {
		if p.same != nil {
			p.logged, p.entry, p.byNumber = p.same.logged, p.same.entry, p.same.byNumber
		}
		if !p.logged {
			c.report(unlogged, "%s", p.path)
		}
	}
	slices.SortStableFunc(c.published, func(a, b *published) int { return cmp.Compare(a.began, b.began) })
	byEnd := slices.Clone(c.published)
	slices.SortStableFunc(byEnd, func(a, b *published) int { return cmp.Compare(a.ended, b.ended) })
	// The newest of those received before p was asked for: whoever asks the issuer
	// gets nothing older than anybody has. What a web server serves is as new as
	// what was put there, whatever others were given since.
	everywhere, served := latest{}, latest{}
	for _, p := range c.published {
		for len(byEnd) > 0 && byEnd[0].ended < p.began {
			everywhere.add(byEnd[0])
			if byEnd[0].served {
				served.add(byEnd[0])
			}
			byEnd = byEnd[1:]
		}
		before := everywhere
		if p.served {
			before = served
			c.comparePlaced(p)
		}
		n := before[p.name]
		if p.logged && n.is && p.entry < n.entry {
			c.report(wentBack, "%s is entry %d of the log, received after entry %d", p.path, p.entry, n.entry)
		}
		if p.date.Before(n.date) {
			c.report(wentBack, "%s is of %s, received after one of %s", p.path, p.date, n.date)
		}
	}
	// And by the log, whoever received it when.
	slices.SortFunc(c.published, func(a, b *published) int { return cmp.Compare(a.entry, b.entry) })
	dated := map[string]time.Time{}
	for _, p := range c.published {
		if p.logged && p.date.Before(dated[p.name]) {
			c.report(wentBack, "entry %d of %s is of %s, an earlier one of %s", p.entry, p.name, p.date, dated[p.name])
		}
		if p.logged && dated[p.name].Before(p.date) {
			dated[p.name] = p.date
		}
	}
}

// A latest is the newest that was seen of each name.
type latest map[string]struct {
	is    bool
	entry int64
	date  time.Time
}

func (l latest) add(p *published) {
	n := l[p.name]
	if p.logged {
		n.is, n.entry = true, max(n.entry, p.entry)
	}
	if n.date.Before(p.date) {
		n.date = p.date
	}
	l[p.name] = n
}

// comparePlaced holds what was served to what the issuer said it had put there.
func (c *checker) comparePlaced(p *published) {
	for _, put := range c.placed {
		if put.name == p.name && put.at < p.began && p.logged && p.byNumber < put.number {
			c.report(notServed, "%s is number %d of %s, number %d was put there", p.path, p.byNumber, p.name, put.number)
			return
		}
	}
}
