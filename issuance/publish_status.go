package issuance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
)

// PublishStatus makes, signs and stores the next token of every status list,
// each in a transaction of its own with what [Service.PublishTrust] promises,
// and returns them in the order of the lists. Several processes may publish at once:
// numbers and dates of a list only go up, and each token shows every change that was
// acknowledged before it was made.
//
// Every list has a token in CWT form, whose publication has the name of the list. A
// list of a wallet form has one in JWT form besides, under [JWTName], of the same
// slots at the same moment: SD-JWT VC asks for it.
func (s *Service) PublishStatus(ctx context.Context, r StatusRequest) ([]Publication, error) {
	lists, err := s.cfg.Store.Lists(ctx)
	if err != nil {
		return nil, fmt.Errorf("list status lists: %w", err)
	}
	wallets, err := s.walletForms(ctx)
	if err != nil {
		return nil, err
	}
	published := make([]Publication, 0, len(lists))
	for _, l := range lists {
		encodings := []encoding{cwtEncoding{}}
		if wallets[[2]string{l.Kind.Programme, l.Kind.Form}] {
			encodings = append(encodings, jwtEncoding{chain: s.cfg.Chain})
		}
		all, err := s.publishList(ctx, r, l, encodings)
		for range maxOvertaken {
			if !errors.Is(err, ErrMoved) {
				break
			}
			all, err = s.publishList(ctx, r, l, encodings) // another publisher was faster: read again
		}
		if err != nil {
			return published, fmt.Errorf("publish status list %s: %w", l.URI, err)
		}
		published = append(published, all...)
	}
	return published, nil
}

// maxOvertaken is how often other publishers of the same list may be faster.
const maxOvertaken = 5

// walletForms are the programmes and forms that any version of a programme makes
// for wallets.
func (s *Service) walletForms(ctx context.Context) (map[[2]string]bool, error) {
	rows, err := s.cfg.Store.Programmes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read programmes: %w", err)
	}
	forms := map[[2]string]bool{}
	for _, row := range rows {
		p, err := s.parse(row)
		if err != nil {
			return nil, err
		}
		for _, f := range p.Forms {
			if f.Wallet() {
				forms[[2]string{p.ID, f.Name}] = true
			}
		}
	}
	return forms, nil
}

// jwtPrefix begins the name of a publication that is a list in JWT form.
const jwtPrefix = "jwt:"

// JWTName is the name of the publication of this list in JWT form.
func JWTName(uri string) string { return jwtPrefix + uri }

// IsJWT returns the list whose JWT form the publication of this name is; false if it
// is none.
func IsJWT(name string) (uri string, ok bool) { return strings.CutPrefix(name, jwtPrefix) }

// OpenList reads the publication of a list in either form, as it was when it was made:
// one of these keys must have signed it. The name is that of the publication.
func OpenList(name string, token []byte, own []keys.PublicKey) (*status.TokenInfo, error) {
	uri, isJWT := IsJWT(name)
	parse, e := status.ParseToken, encoding(cwtEncoding{})
	if isJWT {
		parse, e = func(b []byte, most int) (*status.TokenInfo, error) { return status.ParseJWT(string(b), most) }, jwtEncoding{}
	}
	t, err := parse(token, 0)
	if err != nil {
		return nil, err
	}
	return e.verify(token, status.Expect{URI: uri, Now: t.IssuedAt, Keys: own})
}

// An encoding is one of the forms of a status list token.
type encoding interface {
	name(uri string) string
	sign(rnd io.Reader, s keys.Signer, t status.TokenInfo) ([]byte, error)
	verify(token []byte, want status.Expect) (*status.TokenInfo, error)
}

type cwtEncoding struct{}

func (cwtEncoding) name(uri string) string { return uri }

func (cwtEncoding) sign(rnd io.Reader, s keys.Signer, t status.TokenInfo) ([]byte, error) {
	return status.SignToken(rnd, s, t, t.IssuedAt)
}

func (cwtEncoding) verify(token []byte, want status.Expect) (*status.TokenInfo, error) {
	return status.VerifyToken(token, want)
}

type jwtEncoding struct{ chain func(keys.ID) [][]byte }

func (jwtEncoding) name(uri string) string { return JWTName(uri) }

func (e jwtEncoding) sign(rnd io.Reader, s keys.Signer, t status.TokenInfo) ([]byte, error) {
	return status.SignJWT(rnd, s, t, t.IssuedAt, e)
}

func (jwtEncoding) verify(token []byte, want status.Expect) (*status.TokenInfo, error) {
	return status.VerifyJWT(string(token), want, jose.Tokens{})
}

// SignJWS implements [status.JWSSigner]: with the certificates of the key, if it has
// any, which HAIP asks for.
func (e jwtEncoding) SignJWS(rnd io.Reader, s keys.Signer, typ string, payload []byte) ([]byte, error) {
	public := s.Key().Public
	d, err := jose.NewDraft(public, jose.Header{Type: typ, KeyID: public.ID().String(), X5C: e.chain(public.ID())}, payload)
	if err != nil {
		return nil, err
	}
	return d.Sign(rnd, s)
}

// publishList publishes one list in these encodings, in one transaction.
func (s *Service) publishList(ctx context.Context, r StatusRequest, l List, encodings []encoding) ([]Publication, error) {
	var all []Publication
	err := s.cfg.Store.Write(ctx, func(tx Tx) error {
		all = make([]Publication, len(encodings))
		var at time.Time
		for i, e := range encodings {
			var err error
			if all[i], err = tx.Publication(e.name(l.URI)); err != nil {
				return err
			}
			next, err := s.publishAt(all[i])
			if err != nil {
				return err
			}
			at = later(at, next)
		}
		_, signer, err := s.signer(ctx, keys.StatusList, at)
		if err != nil {
			return err
		}
		list, err := statusList(tx, l)
		if err != nil {
			return err
		}
		token := status.TokenInfo{
			URI: l.URI, IssuedAt: at, Expires: at.Add(r.Lifetime), TTL: r.TTL, List: list, AggregationURI: r.Aggregation,
		}
		kept := true
		for i, e := range encodings {
			next := Publication{Name: e.name(l.URI), Number: all[i].Number + 1, IssuedAt: at}
			// What is handed out is first read as a verifier will.
			want := status.Expect{URI: l.URI, Now: at, Keys: []keys.PublicKey{signer.Key().Public}}
			if (draft{last: all[i], next: next}).keeps(r.KeepFor) {
				if old, err := e.verify(all[i].Content, want); err == nil && old.List.SHA256() == list.SHA256() {
					continue
				}
			}
			if next.Content, err = e.sign(s.cfg.Rand, signer, token); err != nil {
				return err
			}
			if _, err := e.verify(next.Content, want); err != nil {
				return fmt.Errorf("%w: %w", ErrSelfCheck, err)
			}
			err := s.savePublication(tx, &next, audit.StatusPublished, r.Actor, fmt.Sprintf("number %d of %.200s", next.Number, next.Name))
			if err != nil {
				return err
			}
			all[i], kept = next, false
		}
		if kept {
			return errKept
		}
		return nil
	})
	if err != nil && !errors.Is(err, errKept) {
		return nil, err
	}
	if err == nil {
		s.cfg.Crash(PointPublished)
	}
	return all, nil
}
