package status_test

import (
	"testing"

	"github.com/sanad-id/sanad/credential/status"
)

// TestPermutationCounter undoes the permutation at every slot of odd sizes.
func TestPermutationCounter(t *testing.T) {
	key := []byte("0123456789abcdef")
	for _, size := range []uint64{1, 2, 3, 8, 24, 1000, 4096, 65537} {
		p, err := status.NewPermutation(key, size)
		if err != nil {
			t.Fatal(err)
		}
		for counter := range size {
			if got := p.Counter(p.Index(counter)); got != counter {
				t.Fatalf("size %d: counter %d comes back as %d", size, counter, got)
			}
		}
	}
}
