package verifier

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/trust"
)

// UpdatesFile is the file in the trust folder that says how updates went.
const UpdatesFile = "updates.json"

// Outcomes of asking a source, in closed words.
const (
	// UpdateTaken: it had something newer, which is in use now.
	UpdateTaken = "updated"
	// UpdateSame: it has what is in use.
	UpdateSame = "unchanged"
	// UpdateOlder: what it has is older than what is in use, which stays.
	UpdateOlder = "older"
)

// updateFaults are the other outcomes by what they come from.
var updateFaults = []struct {
	is   error
	word string
}{
	{fetch.ErrURL, "address"},
	{fetch.ErrForbidden, "forbidden"},
	{fetch.ErrTLS, "tls"},
	{fetch.ErrTooLarge, "too_large"},
	{fetch.ErrRedirect, "redirect"},
	{fetch.ErrStatus, "no_file"},
	{fetch.ErrNoAnswer, "no_answer"},
	{trust.ErrFirstTrust, "not_confirmed"},
	{trust.ErrOtherRoot, "other_root"},
	{trust.ErrMixed, "mixed"},
	{trust.ErrBackwards, "backwards"},
	{trust.ErrGap, "gap"},
	{trust.ErrRootChain, "root_chain"},
	{trust.ErrQuorum, "signature"},
	{trust.ErrFormat, "format"},
	{trust.ErrTooLarge, "too_large"},
	{trust.ErrMalformed, "malformed"},
	{trust.ErrMemory, "storage"},
}

// otherFault is everything else, such as a disk that is full.
const otherFault = "storage"

// UpdateOutcomes are all words for how asking a source went.
func UpdateOutcomes() []string {
	all := []string{UpdateTaken, UpdateSame, UpdateOlder}
	for _, f := range updateFaults {
		if !slices.Contains(all, f.word) {
			all = append(all, f.word)
		}
	}
	return all
}

func updateWord(err error) string {
	if errors.Is(err, trust.ErrRollback) {
		return UpdateOlder
	}
	for _, f := range updateFaults {
		if errors.Is(err, f.is) {
			return f.word
		}
	}
	return otherFault
}

// A Source is where trust bundles come from, and how asking it went.
type Source struct {
	// Address is that of the file.
	Address string `json:"address"`
	// Tried is when it was asked last, Succeeded when it last had what could be used.
	Tried     time.Time `json:"tried,omitzero"`
	Succeeded time.Time `json:"succeeded,omitzero"`
	// Outcome is what came of the last try.
	Outcome string `json:"outcome,omitempty"`
	// ETag is that of what it gave last: Judged is what came of it, and Version what was
	// in use after. A folder that went back behind that asks for all of it.
	ETag    string `json:"etag,omitempty"`
	Judged  string `json:"judged,omitempty"`
	Version uint64 `json:"version,omitempty"`
}

// Well reports whether the last try went well.
func (s Source) Well() bool {
	return s.Outcome == UpdateTaken || s.Outcome == UpdateSame || s.Outcome == UpdateOlder
}

// updates is the content of [UpdatesFile].
type updates struct {
	Sources []Source `json:"sources"`
	// Failures is how many rounds in a row brought nothing.
	Failures int `json:"failures,omitempty"`
}

// An Updater keeps the bundle of a trust folder fresh: it asks several sources of one
// authority, takes what is newer and keeps the last good one. Its methods are for one
// goroutine; several updaters may share a folder.
type Updater struct {
	// Dir is the folder of the imported bundle.
	Dir string
	// Sources are addresses of bundles of the same root, each asked in every round.
	Sources []string
	// Every is how long to wait between two rounds.
	Every time.Duration
	// Fetch is the way out. Its Config decides how long an answer may take.
	Fetch *fetch.Client
	// First confirms the first bundle. Optional; without it there has to be one.
	First trust.Confirm
	// Log is told what happens.
	Log *slog.Logger
	// Now and Rand are the clock and the source of jitter. Optional.
	Now  func() time.Time
	Rand io.Reader
}

func (u *Updater) now() time.Time {
	if u.Now == nil {
		return time.Now()
	}
	return u.Now()
}

// ReadUpdates returns how the sources did, in the order of addresses. What cannot be
// read counts as never asked: nothing but ETags is lost with it.
func ReadUpdates(dir string, addresses []string) []Source { return readUpdates(dir, addresses).Sources }

func readUpdates(dir string, addresses []string) updates {
	const most = 1 << 20
	var kept, out updates
	if f, err := os.Open(filepath.Join(dir, UpdatesFile)); err == nil {
		if json.NewDecoder(io.LimitReader(f, most)).Decode(&kept) != nil {
			kept = updates{}
		}
		_ = f.Close() // only read
	}
	out.Failures = max(0, kept.Failures)
	for _, a := range addresses {
		s := Source{Address: a}
		if i := slices.IndexFunc(kept.Sources, func(s Source) bool { return s.Address == a }); i >= 0 {
			s = kept.Sources[i]
		}
		out.Sources = append(out.Sources, s)
	}
	return out
}

// Round asks every source once. It returns how each did; the error is about the folder.
func (u *Updater) Round(ctx context.Context) ([]Source, error) {
	was := readUpdates(u.Dir, u.Sources)
	next := updates{Failures: was.Failures + 1}
	for _, s := range was.Sources {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		err := u.ask(ctx, &s)
		if ctx.Err() != nil {
			return nil, ctx.Err() // not the fault of the source
		}
		if s.Well() {
			next.Failures = 0
		}
		host := ""
		if a, err := url.Parse(s.Address); err == nil {
			host = a.Hostname() // the rest of an address may hold a secret
		}
		switch {
		case s.Outcome == UpdateTaken:
			u.Log.Info("trust updated", "source", host)
		case !s.Well():
			u.Log.Warn("trust not updated", "source", host, "outcome", s.Outcome, "err", err)
		}
		next.Sources = append(next.Sources, s)
	}
	b, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(u.Dir, 0o700); err != nil {
		return next.Sources, err
	}
	if err := durable.Replace(filepath.Join(u.Dir, UpdatesFile), b, 0o600); err != nil {
		return next.Sources, fmt.Errorf("note how updates went: %w", err)
	}
	return next.Sources, nil
}

// ask asks one source and takes what it has if that is newer. Whatever goes wrong, the
// bundle in use stays.
func (u *Updater) ask(ctx context.Context, s *Source) error {
	s.Tried = u.now().UTC().Truncate(time.Second)
	outcome, err := u.take(ctx, s)
	if err != nil {
		outcome = updateWord(err)
	}
	s.Outcome = outcome
	if s.Well() {
		s.Succeeded = s.Tried
	}
	return err
}

func (u *Updater) take(ctx context.Context, s *Source) (string, error) {
	memory := trust.NewDirMemory(u.Dir)
	before, err := memory.Load()
	if err != nil {
		return "", err
	}
	r := fetch.Request{Address: s.Address, MaxBytes: trust.MaxFile, Redirects: 2}
	if whole := before.Trusted() && !before.Damaged && before.HighWater >= s.Version; whole && s.ETag != "" {
		r.Header = http.Header{"If-None-Match": {s.ETag}}
	}
	a, err := u.Fetch.Do(ctx, r)
	switch {
	case err != nil:
		return "", err
	case a.Status == http.StatusNotModified && r.Header != nil:
		return s.Judged, nil
	case a.Status != http.StatusOK:
		return "", fmt.Errorf("%w: status %d", fetch.ErrStatus, a.Status)
	}
	s.ETag, s.Judged, s.Version = "", "", 0
	outcome, version, err := u.accept(memory, before, a.Body)
	if errors.Is(err, trust.ErrRollback) {
		outcome, version, err = UpdateOlder, before.HighWater, nil
	}
	if tag := a.Header.Get("ETag"); err == nil && len(tag) <= maxTag {
		s.ETag, s.Judged, s.Version = tag, outcome, version
		if outcome == UpdateTaken {
			s.Judged = UpdateSame
		}
	}
	return outcome, err
}

// maxTag is the longest ETag that is remembered.
const maxTag = 200

// accept takes a file into use if it is newer, and returns the version in use after.
func (u *Updater) accept(memory trust.Memory, before trust.State, file []byte) (string, uint64, error) {
	after, _, err := trust.Accept(before, file, u.First)
	if err != nil {
		return "", 0, err
	}
	if before.Trusted() && before.HighWater == after.HighWater && !before.Damaged {
		return UpdateSame, after.HighWater, nil
	}
	return UpdateTaken, after.HighWater, memory.Save(after)
}

// firstPause is how long to wait after the first round that brought nothing; each
// further one doubles it, up to Every.
const firstPause = time.Minute

// pause is how long to wait for the next round after so many that brought nothing, with
// chance in it, so that not all verifiers of a country come at once.
func (u *Updater) pause(failures int) (time.Duration, error) {
	d, spread := u.Every, u.Every/5
	if failures > 0 {
		d = min(u.Every, firstPause<<min(failures-1, 20))
		spread = d * 2 / 5
	}
	n, err := rand.Int(u.random(), big.NewInt(int64(spread)+1))
	if err != nil {
		return 0, err
	}
	return d - spread/2 + time.Duration(n.Int64()), nil
}

func (u *Updater) random() io.Reader {
	if u.Rand == nil {
		return rand.Reader
	}
	return u.Rand
}

// Run asks the sources again and again until ctx ends: at once if the last success is
// longer ago than Every, else when it will be.
func (u *Updater) Run(ctx context.Context) {
	first := time.Duration(0)
	for _, s := range readUpdates(u.Dir, u.Sources).Sources {
		if age := u.now().Sub(s.Succeeded); s.Well() && age >= 0 && age < u.Every {
			first = u.Every - age
		}
	}
	for wait := first; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if _, err := u.Round(ctx); err != nil && ctx.Err() == nil {
			u.Log.Error("trust update", "err", err)
		}
		var err error
		if wait, err = u.pause(readUpdates(u.Dir, u.Sources).Failures); err != nil {
			wait = u.Every
		}
	}
}
