package web

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/sanad-id/sanad/internal/strict"
)

// shared counts in Redis, together with the other servers. Its keys are digests of
// class and client that live as long as the limit needs.
type shared struct {
	db       *redis.Client
	counts   *redis_rate.Limiter
	patience time.Duration
}

func openRedis(location string, patience time.Duration) (*shared, error) {
	o, err := redis.ParseURL(location)
	if err != nil {
		// What it says may hold the password.
		return nil, errors.New("web: the address of Redis is not redis://, rediss:// or unix://")
	}
	o.MaxRetries = -1 // a count that was lost on the way back was counted
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = patience, patience, patience, patience
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
	logging.Disable() // addresses are ours to log
	db := redis.NewClient(o)
	return &shared{db: db, counts: redis_rate.NewLimiter(db), patience: patience}, nil
}

func (s *shared) allow(ctx context.Context, class string, r Rate, client netip.Prefix) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	sum := sha256.Sum256([]byte("sanad rate " + class + " " + client.String()))
	res, err := s.counts.Allow(ctx, strict.Base64URL(sum[:16]), redis_rate.Limit{Rate: r.Requests, Period: r.Per, Burst: r.Burst})
	if err != nil {
		return 0, fmt.Errorf("%w: %v", errLimits, err)
	}
	if res.Allowed > 0 {
		return 0, nil
	}
	return max(res.RetryAfter, time.Millisecond), nil
}

func (s *shared) close() { _ = s.db.Close() }
