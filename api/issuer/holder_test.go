package issuer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
	holder "github.com/sanad-id/sanad/wallet"
)

// A line is the way from our own wallet to the issuer.
type line struct {
	client *http.Client
	// cut loses the answers of requests to this path, and cuts counts them.
	cut  string
	cuts int
}

// Send implements [holder.Sender].
func (l *line) Send(ctx context.Context, r holder.Request) (holder.Answer, error) {
	method := http.MethodGet
	if r.Type != "" {
		method = http.MethodPost
	}
	out, err := http.NewRequestWithContext(ctx, method, r.Address, bytes.NewReader(r.Body))
	if err != nil {
		return holder.Answer{}, err
	}
	for name, value := range r.Header {
		out.Header.Set(name, value)
	}
	for name, value := range map[string]string{"Content-Type": r.Type, "Accept": r.Accept} {
		if value != "" {
			out.Header.Set(name, value)
		}
	}
	in, err := l.client.Do(out)
	if err != nil {
		return holder.Answer{}, err
	}
	defer in.Body.Close()
	body, err := io.ReadAll(in.Body)
	if l.cut != "" && strings.HasSuffix(r.Address, l.cut) && in.StatusCode < 300 {
		l.cuts++
		return holder.Answer{}, errors.New("the line was cut")
	}
	return holder.Answer{Status: in.StatusCode, Type: in.Header.Get("Content-Type"), Header: in.Header, Body: body}, err
}

// TestOurWalletWaits: our own wallet gets what was put off for days, after its access
// token has ended, and what it was not told of: one credential each time; and it says so
// when the issuer waits no longer.
func TestOurWalletWaits(t *testing.T) {
	b := newBed(t, engines[0], func(c *issuer.Config) {
		plain := c.Keys
		c.Keys = func(ctx context.Context) (map[string]issuer.Document, error) {
			documents, err := plain(ctx)
			if err != nil {
				return nil, err
			}
			set, err := keys.ParseJWKS(documents[issuer.PathJWKS].Content)
			if err != nil {
				return nil, err
			}
			var all []keys.Key
			for _, k := range set.All() {
				all = append(all, keys.Key{Public: k, Purpose: keys.Credential, State: keys.Active, SignUntil: time.Now().AddDate(1, 0, 0)})
			}
			m, err := sdjwt.IssuerMetadata(c.Issuer, all, time.Now())
			documents[issuer.PathIssuerKeys] = issuer.Document{Type: "application/json", Content: m}
			return documents, err
		}
	})
	kept, err := holder.Create(filepath.Join(t.TempDir(), "w"), []byte("correct horse battery"))
	b.must(err)
	t.Cleanup(func() { b.must(kept.Close()) })
	l := &line{client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	a, err := holder.NewAgent(holder.Config{Wallet: kept, Sender: l, UnknownIssuers: true, LoopbackHTTP: true, Now: b.clock.Now})
	b.must(err)
	accept := func(n int) ([]holder.Held, []holder.Pending, error) {
		made := b.offer(n)
		p, err := a.Offer(t.Context(), made.Link)
		b.must(err)
		g, err := a.Redeem(t.Context(), p, made.TxCode)
		b.must(err)
		return a.Fetch(t.Context(), g)
	}
	// one is what is pending, after a time.
	one := func(after time.Duration) holder.Pending {
		t.Helper()
		b.clock.add(after)
		pending, err := kept.Pending()
		if err != nil || len(pending) != 1 {
			t.Fatalf("pending: %v, %v", pending, err)
		}
		return pending[0]
	}
	arrives := func(n int, w holder.Pending) {
		t.Helper()
		h, err := a.Poll(t.Context(), w)
		if err != nil || h == nil {
			t.Fatalf("Poll: %v, %v", h, err)
		}
		v, err := h.Says(0)
		b.must(err)
		if len(h.Copies) != 4 || !slices.ContainsFunc(v.Fields, func(c credential.Claim) bool { return c.Name == "name" && c.Value == canary(n) }) {
			t.Errorf("%d copies that say %+v", len(h.Copies), v.Fields)
		}
		if k := b.usable(n); k != 1 {
			t.Errorf("P12 %d credentials of person %d can be used, want 1", k, n)
		}
	}

	// The registry is away for six days.
	b.registry.down.Store(true)
	if got, later, err := accept(1); err != nil || len(got) != 0 || len(later) != 1 {
		t.Fatalf("Fetch: %v, %v, %v", got, later, err)
	}
	for range 3 {
		if h, err := a.Poll(t.Context(), one(2*24*time.Hour)); err != nil || h != nil {
			t.Fatalf("Poll: %v, %v", h, err)
		}
	}
	b.registry.down.Store(false)
	arrives(1, one(11*time.Minute))

	// The answer with the credential is lost; the wallet asks again the next day.
	l.cut = "/oid4vci/credential"
	if got, later, err := accept(2); !errors.Is(err, holder.ErrNoAnswer) || len(got) != 0 || len(later) != 1 || l.cuts != 1 {
		t.Fatalf("Fetch: %v, %v, %v", got, later, err)
	}
	l.cut = ""
	arrives(2, one(24*time.Hour))

	// So is the answer to a deferred request, and with it the transaction.
	b.registry.down.Store(true)
	if _, later, err := accept(3); err != nil || len(later) != 1 {
		t.Fatalf("Fetch: %v, %v", later, err)
	}
	b.registry.down.Store(false)
	l.cut = "/oid4vci/deferred"
	if h, err := a.Poll(t.Context(), one(time.Hour)); !errors.Is(err, holder.ErrNoAnswer) || h != nil || l.cuts != 2 {
		t.Fatalf("Poll: %v, %v", h, err)
	}
	l.cut = ""
	arrives(3, one(time.Minute))
	if k := b.happened("grant_ended_by_replay"); k != 0 {
		t.Errorf("the wallet showed %d refresh tokens twice", k)
	}

	// The registry stays away for longer than the issuer waits, which is what the person is
	// told; nothing is waited for any more, and nothing was issued.
	b.registry.down.Store(true)
	if _, later, err := accept(4); err != nil || len(later) != 1 {
		t.Fatalf("Fetch: %v, %v", later, err)
	}
	if h, err := a.Poll(t.Context(), one(6*24*time.Hour)); err != nil || h != nil {
		t.Fatalf("Poll: %v, %v", h, err)
	}
	b.registry.down.Store(false)
	h, err := a.Poll(t.Context(), one(24*time.Hour+time.Minute))
	refused, ok := errors.AsType[*holder.RefusedError](err)
	if h != nil || !ok || refused.Reason != holder.PeerRefused || !strings.Contains(refused.Detail, string(oid4vci.InvalidTransactionID)) {
		t.Errorf("after the transaction has ended Poll says %v, and brings something: %v", err, h != nil)
	}
	if pending, err := kept.Pending(); err != nil || len(pending) != 0 {
		t.Errorf("the wallet waits for %v, %v", pending, err)
	}
	if k := b.usable(4); k != 0 {
		t.Errorf("%d credentials of person 4 can be used, want none", k)
	}
}
