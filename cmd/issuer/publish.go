package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	statuslist "github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/trust"
)

// indexName is the file that says what a published folder holds.
const indexName = "index.json"

func (p *program) statusPublish() *cobra.Command {
	var out string
	var every string
	c := &cobra.Command{
		Use: "publish --out FOLDER [--every 60s]", Short: "Sign the status lists and the trust bundle and write them for a web server", Args: cobra.NoArgs,
		Long: `Writes one signed Token Status List (CWT form) a list, under the name that its address ends with and .cwt, for any static web server to serve as
` + statuslist.MediaType + `; of lists for wallets the JWT form, too, with .jwt, to be served as
` + statuslist.MediaTypeJWT + ` (which is what an answer without Accept should be for them); the trust bundle as ISSUER.trust, and ` + indexName + ` with numbers, dates and digests. A list that says what its last token says is
signed anew twice a day only.

With --every it goes on until it is told to stop: it publishes what has changed within that time, tries again when the database cannot be reached,
and says so loudly when the last success is older than 5 and 15 minutes. What is in the folder can be served meanwhile. It opens the database for
each round only, so that others can work. Nothing in the folder is ever replaced by something older.`,
		Example: "  issuer status publish --dir office --out public/status\n  issuer status publish --dir office --out public/status --every 60s",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			f := &publisher{program: p, cmd: cmd, out: out}
			if every == "" {
				index, err := f.round(cmd.Context())
				if err != nil {
					return err
				}
				return p.Print(cmd, index.Lists, index.text)
			}
			pause, err := parseDuration(every)
			if err != nil || pause < time.Second {
				return p.Misused(cli.Hint(fmt.Errorf("--every: %q is not a time span", every), "for example --every 60s"))
			}
			s := schedule{every: pause, now: p.Now, sleep: sleep, last: f.lastSuccess(), say: func(format string, args ...any) { cli.Say(cmd, format, args...) }}
			s.run(cmd.Context(), func(ctx context.Context) error {
				_, err := f.round(ctx)
				return err
			})
			return nil
		}),
	}
	c.Flags().StringVar(&out, "out", "", "the folder to write to (required)")
	c.Flags().StringVar(&every, "every", "", "publish again after this time, until told to stop, such as `60s`")
	_ = c.MarkFlagRequired("out")
	return c
}

// When a schedule begins to speak up about its last success.
const (
	lateAfter  = 5 * time.Minute
	alarmAfter = 15 * time.Minute
)

// A schedule repeats something until it is told to stop.
type schedule struct {
	every time.Duration
	now   func() time.Time
	sleep func(ctx context.Context, d time.Duration)
	say   func(format string, args ...any)
	last  time.Time // of the last success
}

// run calls round until ctx ends. After a failure it tries again sooner, and less
// and less often up to the usual pause.
func (s *schedule) run(ctx context.Context, round func(context.Context) error) {
	s.last = cmp.Or(s.last, s.now())
	failures := 0
	for ctx.Err() == nil {
		pause := s.every
		switch err := round(ctx); {
		case err == nil:
			if failures > 0 {
				s.say("published again, after %d failures", failures)
			}
			s.last, failures = s.now(), 0
		case ctx.Err() != nil:
			return
		default:
			pause = min(time.Second<<min(failures, 20), s.every)
			failures++
			s.say("%spublishing failed: %v (again in %s)", s.alarm(), err, pause)
		}
		s.sleep(ctx, pause)
	}
}

// alarm is how loudly to speak of a failure.
func (s *schedule) alarm() string {
	switch age := s.now().Sub(s.last).Round(time.Second); {
	case age > alarmAfter:
		return fmt.Sprintf("ALARM: what is published is %s old; what was revoked since still counts as valid elsewhere. ", age)
	case age > lateAfter:
		return fmt.Sprintf("WARNING: what is published is %s old. ", age)
	}
	return ""
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// A publishedFile is one file of a published folder.
type publishedFile struct {
	URI      string    `json:"uri,omitempty"`
	Type     string    `json:"type,omitempty"`
	Number   uint64    `json:"number"`
	File     string    `json:"file"`
	Bytes    int       `json:"bytes"`
	IssuedAt time.Time `json:"issued_at"`
	SHA256   string    `json:"sha256"`
}

// A publishedIndex says what a published folder holds, and when it was last
// compared with the database.
type publishedIndex struct {
	Checked time.Time       `json:"checked_at"`
	Lists   []publishedFile `json:"lists"`
	Trust   *publishedFile  `json:"trust,omitempty"`
}

func (x publishedIndex) text(w io.Writer) {
	all := x.Lists
	if x.Trust != nil {
		all = append(all, *x.Trust)
	}
	table(w, "LIST|NUMBER|FILE|BYTES", func(add func(...string)) {
		for _, v := range all {
			add(cmp.Or(v.URI, issuance.TrustName), fmt.Sprint(v.Number), v.File, fmt.Sprint(v.Bytes))
		}
	})
}

// A publisher fills one folder.
type publisher struct {
	*program
	cmd *cobra.Command
	out string
	// with gives the open issuer to a function. Optional; it is opened for each round.
	with func(access, func(*app) error) error

	seen int64 // entries of the audit log at the last success, its own included
	due  time.Time
}

// keepFor is how long something that still says the same is left as it is: its date
// is what verifiers tell the age of their knowledge by.
const keepFor = 12 * time.Hour

// round publishes what has changed and writes the folder.
func (f *publisher) round(ctx context.Context) (publishedIndex, error) {
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return publishedIndex{}, err
	}
	release, err := holdFolder(ctx, f.out)
	if err != nil {
		return publishedIndex{}, err
	}
	defer release()
	if idle, err := f.idle(ctx); err != nil || idle {
		return publishedIndex{}, err
	}
	var index publishedIndex
	err = f.office(readWrite, func(a *app) error {
		if index, err = a.publishAll(f.cmd, f.out); err != nil {
			return err
		}
		f.seen, err = a.store.AuditSize(ctx)
		return err
	})
	if err != nil {
		return publishedIndex{}, err
	}
	f.due = f.Now().Add(keepFor / 2)
	return index, nil
}

// office opens the issuer for a function, unless somebody has it open.
func (f *publisher) office(what access, do func(*app) error) error {
	if f.with != nil {
		return f.with(what, do)
	}
	a, err := f.open(f.cmd, what)
	if err != nil {
		return err
	}
	defer a.close()
	return do(a)
}

// idle reports whether nothing was done since the last round of this process, so
// that nobody else has to be kept from the database.
func (f *publisher) idle(ctx context.Context) (bool, error) {
	if f.seen == 0 || !f.Now().Before(f.due) {
		return false, nil
	}
	var size int64
	err := f.office(readOnly, func(a *app) (err error) {
		size, err = a.store.AuditSize(ctx)
		return err
	})
	if err != nil || size != f.seen {
		return false, err
	}
	x, err := readIndex(f.out)
	if err != nil {
		return false, err
	}
	x.Checked = f.Now().UTC().Truncate(time.Second)
	return true, x.write(f.out)
}

// lastSuccess is when the folder was last filled, by whatever process.
func (f *publisher) lastSuccess() time.Time {
	x, err := readIndex(f.out)
	if err != nil {
		return time.Time{}
	}
	return x.Checked
}

// publishAll signs what has changed and writes everything that is published.
func (a *app) publishAll(cmd *cobra.Command, out string) (publishedIndex, error) {
	lifetime := time.Duration(a.cfg.Trust.StatusListLifetime)
	keep := min(keepFor, lifetime/4)
	lists, err := a.service.PublishStatus(cmd.Context(), issuance.StatusRequest{Lifetime: lifetime, TTL: lifetime / 7, KeepFor: keep, Actor: a.actor})
	if err != nil {
		return publishedIndex{}, err
	}
	index := publishedIndex{Checked: a.now().UTC().Truncate(time.Second), Lists: []publishedFile{}}
	known, err := readIndex(out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return publishedIndex{}, err
	}
	for _, l := range lists {
		uri, extension, mediaType := l.Name, ".cwt", statuslist.MediaType
		if of, jwt := issuance.IsJWT(l.Name); jwt {
			uri, extension, mediaType = of, ".jwt", statuslist.MediaTypeJWT
		}
		name := filepath.Base(strings.TrimPrefix(uri, a.cfg.statusBase())) + extension
		file, err := place(out, name, l, known, newerList)
		if err != nil {
			return publishedIndex{}, err
		}
		file.URI, file.Type = uri, mediaType
		index.Lists = append(index.Lists, file)
	}
	bundle, err := a.currentBundle(cmd)
	if err != nil {
		return publishedIndex{}, err
	}
	if bundle.Number > 0 {
		file, err := place(out, a.cfg.Issuer.ID+".trust", bundle, known, newerBundle)
		if err != nil {
			return publishedIndex{}, err
		}
		index.Trust = &file
	}
	return index, index.write(out)
}

// currentBundle publishes the next trust bundle if there is something new to say. An
// office under the root of another has none.
func (a *app) currentBundle(cmd *cobra.Command) (issuance.Publication, error) {
	last, err := a.store.Publication(cmd.Context(), issuance.TrustName)
	if err != nil || last.Number == 0 {
		return last, err
	}
	keep := min(keepFor, time.Duration(a.cfg.Trust.RefreshBy)/4)
	if _, _, err := a.publish(cmd, func(r *issuance.TrustRequest) { r.KeepFor = keep }); err != nil {
		return issuance.Publication{}, err
	}
	return a.store.Publication(cmd.Context(), issuance.TrustName)
}

// errOlder: what is to be published is older than what is there.
var errOlder = errors.New("the folder holds something newer than this database")

// place writes a publication, unless the file says the same already. It replaces
// nothing by something older: that would be a database which lost what it had
// confirmed, or another one.
func place(out, name string, p issuance.Publication, known publishedIndex, newer func(old, new []byte) bool) (publishedFile, error) {
	path := filepath.Join(out, name)
	file := publishedFile{Number: p.Number, File: path, Bytes: len(p.Content), IssuedAt: p.IssuedAt, SHA256: digest(p.Content)}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	if err == nil && digest(old) == file.SHA256 {
		return file, nil
	}
	was, listed := known.file(path)
	if err == nil && (newer(old, p.Content) || listed && was.SHA256 == digest(old) && was.Number > p.Number) {
		return file, cli.Hint(fmt.Errorf("%w: %s", errOlder, path),
			"was a backup restored, or is this the folder of another office? Keep the folder, and see \"Publishing status\" in docs/operating.md")
	}
	return file, durable.Replace(path, p.Content, 0o644)
}

// newerList reports whether one list token is of a later date than another.
func newerList(old, next []byte) bool {
	a, err := parseList(old)
	if err != nil {
		return false // whatever it is, nobody can use it
	}
	b, err := parseList(next)
	return err != nil || a.IssuedAt.After(b.IssuedAt)
}

// parseList reads a list token of either form.
func parseList(token []byte) (*statuslist.TokenInfo, error) {
	if isJWT(token) {
		return statuslist.ParseJWT(string(token), 0)
	}
	return statuslist.ParseToken(token, 0)
}

// isJWT reports whether a list token is of the JWT form: it begins with a JSON object
// in base64url, as no CWT does.
func isJWT(token []byte) bool { return bytes.HasPrefix(token, []byte("ey")) }

// newerBundle reports whether one trust bundle has a later version than another.
func newerBundle(old, next []byte) bool {
	a, err := trust.Open(old)
	if err != nil {
		return false
	}
	b, err := trust.Open(next)
	return err != nil || a.Version > b.Version
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (x publishedIndex) file(path string) (publishedFile, bool) {
	for _, f := range x.Lists {
		if f.File == path {
			return f, true
		}
	}
	if x.Trust != nil && x.Trust.File == path {
		return *x.Trust, true
	}
	return publishedFile{}, false
}

func readIndex(folder string) (x publishedIndex, err error) {
	b, err := os.ReadFile(filepath.Join(folder, indexName))
	if err != nil {
		return x, err
	}
	if err := json.Unmarshal(b, &x); err != nil {
		return publishedIndex{}, nil // it is written anew
	}
	for i := range x.Lists {
		x.Lists[i].File = filepath.Join(folder, x.Lists[i].File)
	}
	if x.Trust != nil {
		x.Trust.File = filepath.Join(folder, x.Trust.File)
	}
	return x, nil
}

// write writes the index, with names as they stand in the folder.
func (x publishedIndex) write(folder string) error {
	public := publishedIndex{Checked: x.Checked, Lists: []publishedFile{}}
	for _, f := range x.Lists {
		f.File = filepath.Base(f.File)
		public.Lists = append(public.Lists, f)
	}
	if x.Trust != nil {
		t := *x.Trust
		t.File = filepath.Base(t.File)
		public.Trust = &t
	}
	b, err := json.MarshalIndent(public, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(filepath.Join(folder, indexName), append(b, '\n'), 0o644)
}
