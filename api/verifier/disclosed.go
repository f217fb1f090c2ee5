package verifier

import (
	"context"
	"errors"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store/once"
)

// errDisclosed: the key of a holder is on the list of those that were disclosed.
var errDisclosed = errors.New("verifier: the holder's key was disclosed")

// maxHolders is how many keys the step that stores a result asks about. Few answers have two;
// for one with more each key is read.
const maxHolders = once.MaxKeys / 2

// listed are those of the keys that are on that list.
func (s *Service) listed(ctx context.Context, holders []keys.PublicKey) (listed []keys.PublicKey, err error) {
	for _, k := range holders {
		at := once.Disclosed(k)
		_, err := s.Once.Get(ctx, s.Now(), at.Kind, at.Digest)
		switch {
		case err == nil:
			listed = append(listed, k)
		case !errors.Is(err, once.ErrNone):
			return nil, err
		}
	}
	return listed, nil
}

// remember puts keys on that list (corpus SIG-05). The answer that brought them has its verdict,
// so that no more than the log hears if that fails. Only the one answer that ended a request of
// a relying party comes here: strangers do not fill the list.
func (s *Service) remember(ctx context.Context, list []keys.PublicKey) {
	if len(list) == 0 {
		return
	}
	id := web.RequestID(ctx)
	if err := once.Disclose(context.WithoutCancel(ctx), s.Once, s.Now(), list...); err != nil {
		s.Log.ErrorContext(ctx, "a holder's key was disclosed and could not be put on the list", "err", err, "request_id", id)
		return
	}
	s.Log.WarnContext(ctx, "a holder's key was disclosed and is on the list", "keys", len(list), "request_id", id)
}
