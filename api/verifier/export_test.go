package verifier

import (
	"context"
	"encoding/json"
)

// Deliver sends the webhooks that are due.
func (s *Service) Deliver(ctx context.Context) { s.deliver(ctx) }

// Queued is how many webhooks wait.
func (s *Service) Queued(ctx context.Context) int {
	n := 0
	for i := range hookQueues {
		k := queueKey(i)
		v, err := s.Once.Get(ctx, s.Now(), k.Kind, k.Digest)
		var hooks []hook
		if err == nil && json.Unmarshal(v.Data, &hooks) == nil {
			n += len(hooks)
		}
	}
	return n
}
