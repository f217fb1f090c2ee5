package verifier

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/store/once"
)

// An awayError says that the store is out of reach or has no time. Nothing was decided; the
// same request may succeed later (promises P13 and P30).
type awayError struct{ err error }

func (e *awayError) Error() string { return "the store: " + e.err.Error() }
func (e *awayError) Unwrap() error { return e.err }

// Reply implements [web.Reply].
func (e *awayError) Reply(w http.ResponseWriter) {
	(&web.Problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "try again later", Retry: 5 * time.Second}).Reply(w)
}

// answers are the errors of a store that has decided.
var answers = []error{nil, once.ErrNone, once.ErrExists, once.ErrChanged, once.ErrFull}

// away marks an error of the store that decides nothing.
func away(err error) error {
	for _, known := range answers {
		if errors.Is(err, known) {
			return err
		}
	}
	return &awayError{err}
}

// A shelf is a store whose errors are marked by [away].
type shelf struct{ Once }

func (s shelf) Put(ctx context.Context, values ...once.Value) error {
	return away(s.Once.Put(ctx, values...))
}

func (s shelf) Get(ctx context.Context, now time.Time, kind once.Kind, digest [32]byte) (once.Value, error) {
	v, err := s.Once.Get(ctx, now, kind, digest)
	return v, away(err)
}

func (s shelf) Exchange(ctx context.Context, now time.Time, take []once.Key, put []once.Value) ([]once.Value, error) {
	v, err := s.Once.Exchange(ctx, now, take, put)
	return v, away(err)
}

func (s shelf) Swap(ctx context.Context, now time.Time, old, next once.Value) error {
	return away(s.Once.Swap(ctx, now, old, next))
}

func (s shelf) Steps(ctx context.Context, now time.Time, steps ...once.Step) (int, error) {
	done, err := s.Once.Steps(ctx, now, steps...)
	return done, away(err)
}

// logged is a handler whose answers that the store is away are in the log.
func (s *Service) logged(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		if e, ok := errors.AsType[*awayError](err); ok {
			s.Log.WarnContext(r.Context(), "not available", "err", e.err, "request_id", web.RequestID(r.Context()))
		}
		return err
	}
}
