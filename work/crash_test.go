package work_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/work"
)

// crash ends a process at a point, as far as a test can.
type crash struct{ at string }

// until runs f and reports whether it ended in a crash.
func until(f func()) (crashed bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(crash); !ok {
				panic(r)
			}
			crashed = true
		}
	}()
	f()
	return false
}

// A breakdown is one way to break off in the middle of doing an item.
type breakdown struct {
	name string
	set  func(b *bed, d *work.Config)
}

// breakdowns are every point of a worker, every write of the store that is lost or done before the
// process ends, and every act of issuance.
func breakdowns() []breakdown {
	var all []breakdown
	for _, p := range []work.Point{work.PointTaken, work.PointActed, work.PointRefused} {
		all = append(all, breakdown{"at " + string(p), func(_ *bed, c *work.Config) {
			c.Crash = func(at work.Point) {
				if at == p {
					panic(crash{string(p)})
				}
			}
		}})
	}
	for write := 1; write <= 3; write++ {
		for _, after := range []bool{false, true} {
			all = append(all, breakdown{fmt.Sprintf("write %d, stored %v", write, after), func(b *bed, _ *work.Config) {
				n := 0
				b.store.Fault = func(method string) (error, bool) {
					if n++; n == write {
						return errors.New("the connection broke"), after
					}
					return nil, false
				}
			}})
		}
	}
	for _, done := range []bool{false, true} {
		all = append(all, breakdown{fmt.Sprintf("act, done %v", done), func(b *bed, _ *work.Config) {
			first := true
			b.service.fault = func(_ string, after bool) error {
				if after == done && first {
					first = false
					panic(crash{"act"})
				}
				return nil
			}
		}}, breakdown{fmt.Sprintf("error, done %v", done), func(b *bed, _ *work.Config) {
			first := true
			b.service.fault = func(_ string, after bool) error {
				if after == done && first {
					first = false
					return errors.New("the answer was lost")
				}
				return nil
			}
		}})
	}
	return all
}

// TestOnceWhateverBreaks: a deed that is due is done once, wherever the process that
// does it ends, and by whichever process goes on.
func TestOnceWhateverBreaks(t *testing.T) {
	o := newOffice(t)
	n := 0
	for _, kind := range []work.Kind{work.Issue, work.Replace, work.Revoke, work.Suspend, work.Resume} {
		for _, how := range breakdowns() {
			n++
			t.Run(string(kind)+" "+how.name, func(t *testing.T) {
				b := newBedAt(t, o, fmt.Sprintf("C%d-", n))
				var i work.Item
				switch kind {
				case work.Issue:
					i = b.agreed(1)
				case work.Replace:
					b.printed(1)
					b.later(time.Second)
					i = b.agreed(1)
				default:
					i = b.ordered(1, kind)
					b.later(work.DefaultUndo)
				}
				broken := b.config
				broken.Worker = "broken"
				clear(b.service.acts)
				how.set(b, &broken)
				d, err := work.New(broken)
				b.must(err)
				until(func() { _, _ = d.Run(t.Context(), i.ID) })
				b.store.Fault, b.service.fault = nil, nil
				// Another process goes on when the first one's time is up.
				other := b.open()
				for range 4 {
					b.later(work.DefaultLease + time.Minute)
					_, err := other.RunDue(t.Context())
					b.must(err)
				}
				b.judge(kind, i.ID)
			})
		}
	}
}

// judge looks at what there is after all.
func (b *bed) judge(kind work.Kind, id string) {
	b.Helper()
	i, err := b.Item(b.Context(), clerk, id)
	b.must(err)
	all, err := b.service.Credentials(b.Context(), "births", b.id(1))
	b.must(err)
	inForce := 0
	for _, c := range all {
		if c.State == issuance.Active {
			inForce++
		}
	}
	if kind.Signs() {
		if i.State != work.Signed || inForce != 1 || b.held(1) == "" {
			b.Fatalf("the item is %s (%s), credentials %s", i.State, i.Problem, b.held(1))
		}
		p, err := b.Print(b.Context(), clerk, id)
		b.must(err)
		if p.Credential != i.Made || p.Credential != all[len(all)-1].ID {
			b.Errorf("the print is of another credential than the one in force")
		}
		return
	}
	if i.State != work.Done || b.service.acts[string(kind)] != 1 {
		b.Errorf("the item is %s (%s), done %d times", i.State, i.Problem, b.service.acts[string(kind)])
	}
}

// TestCrashBehindTheNote: a deed that stands in the audit log and nowhere else has not been done,
// and whoever does it again does it once.
func TestCrashBehindTheNote(t *testing.T) {
	b := newBed(t)
	c := b.see(clerk, 1)
	noted := b.open(func(c *work.Config) {
		c.Crash = func(p work.Point) {
			if p == work.PointNoted {
				panic(crash{})
			}
		}
	})
	ask := work.Ask{Ref: c.Ref, Shown: c.Sheet.Shown}
	if !until(func() { _, _ = noted.Ask(t.Context(), clerk, ask) }) {
		t.Fatal("asking did not crash")
	}
	if c = b.see(clerk, 1); c.Open != nil {
		t.Errorf("nobody was told that it is asked for, and it is: %+v", c.Open)
	}
	i, err := b.Ask(t.Context(), clerk, ask)
	b.must(err)
	s, err := b.Sheet(t.Context(), approver, &i)
	b.must(err)
	if !until(func() { _, _ = noted.Approve(t.Context(), approver, i.ID, s.Shown) }) {
		t.Fatal("agreeing did not crash")
	}
	b.later(work.DefaultLease)
	if n, err := b.RunDue(t.Context()); n != 0 || err != nil || b.held(1) != "" {
		t.Errorf("issued without a second person: %d, %v, %s", n, err, b.held(1))
	}
	i, err = b.Approve(t.Context(), approver, i.ID, s.Shown)
	b.must(err)
	_, err = b.Run(t.Context(), i.ID)
	b.must(err)
	b.judge(work.Issue, i.ID)
}

// TestNotTwiceAfterACrash: what was suspended by a process that then ended, and resumed
// by somebody since, is not suspended again.
func TestNotTwiceAfterACrash(t *testing.T) {
	b := newBed(t)
	i := b.ordered(1, work.Suspend)
	b.later(work.DefaultUndo)
	d := b.open(func(c *work.Config) {
		c.Crash = func(p work.Point) {
			if p == work.PointActed {
				panic(crash{})
			}
		}
	})
	if !until(func() { _, _ = d.Run(t.Context(), i.ID) }) {
		t.Fatal("it did not crash")
	}
	b.later(time.Second)
	_, err := b.service.Service.Resume(t.Context(), i.Credential, "command-line")
	b.must(err)
	b.later(work.DefaultLease)
	if n, err := b.RunDue(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	i, err = b.Item(t.Context(), clerk, i.ID)
	b.must(err)
	if b.held(1) != "active" || i.State != work.Failed || i.Problem != work.ProblemState {
		t.Errorf("%s; the item is %s %s", b.held(1), i.State, i.Problem)
	}
}

// TestManyWorkers: of many processes that find the same items due each item is done by
// one.
func TestManyWorkers(t *testing.T) {
	b := newBed(t)
	for n := 1; n <= 5; n += 2 {
		b.ordered(n, work.Revoke)
	}
	b.later(work.DefaultUndo)
	var wg sync.WaitGroup
	done := make(chan int, 8)
	for range 8 {
		d := b.open()
		wg.Go(func() {
			n, err := d.RunDue(t.Context())
			if err != nil {
				t.Error(err)
			}
			done <- n
		})
	}
	wg.Wait()
	close(done)
	total := 0
	for n := range done {
		total += n
	}
	if total != 3 || b.service.acts["revoke"] != 3 {
		t.Errorf("%d done by workers, %d by issuance, want 3", total, b.service.acts["revoke"])
	}
}

// TestLater: what stands in the way for a while stops nothing for good.
func TestLater(t *testing.T) {
	b := newBed(t)
	i := b.agreed(1)
	b.service.fault = func(string, bool) error { return issuance.ErrAuditDebt }
	_, err := b.Run(t.Context(), i.ID)
	b.wants(err, issuance.ErrAuditDebt)
	i, err = b.Item(t.Context(), clerk, i.ID)
	b.must(err)
	if i.State != work.Agreed || i.Problem != work.ProblemLater || i.Queue() != work.ToIssue {
		t.Errorf("%s %s", i.State, i.Problem)
	}
	_, err = b.Run(t.Context(), i.ID)
	b.wants(err, work.ErrState)
	b.service.fault = nil
	b.later(6 * time.Second)
	if n, err := b.RunDue(t.Context()); n != 1 || err != nil || b.held(1) != "active" {
		t.Errorf("%d, %v, %s", n, err, b.held(1))
	}
}
