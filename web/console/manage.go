package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/staff"
)

// Manage is what the pages of batches, programmes, sources, trust, keys and figures
// rest on. A part that is nil has no pages; batches need Programmes, too.
type Manage struct {
	// Batches does batches in the background.
	Batches *batchwork.Runner
	// Programmes are those in use. [*issuance.Service] is one.
	Programmes Programmes
	// Sources are the registries of the settings.
	Sources Sources
	// Trust is what verifiers are told.
	Trust Trust
	// Keys are the signing keys.
	Keys Keys
	// Figures are the numbers of the overview.
	Figures Figures
	// Watch says how the audit log stands with its witnesses.
	Watch Watch
}

// Programmes are the programmes of the issuer.
type Programmes interface {
	// Programmes returns the newest version of each, by id.
	Programmes(ctx context.Context) ([]*programme.Programme, error)
	// ProgrammeVersions returns those of one, the oldest first, or
	// [issuance.ErrNoProgramme].
	ProgrammeVersions(ctx context.Context, id string) ([]issuance.ProgrammeRow, error)
	// AddProgramme takes a file into use; see [issuance.Service.AddProgramme].
	AddProgramme(ctx context.Context, text []byte, actor string) (*programme.Programme, error)
}

// A SourceInfo is one source of the settings. It holds no secrets.
type SourceInfo struct {
	Name string
	// Database says that it is a table of a database, and not a file. Table is its name.
	Database bool
	Table    string
	IDColumn string
}

// Sources are the registries of the settings.
type Sources interface {
	// Sources returns them by name.
	Sources() []SourceInfo
	// OpenSource opens one for a programme; what it returns is closed if it can be. For one
	// that is there and is not what the settings say, such as a table without the column of
	// ids, it returns a [batchwork.SourceError] that names tables and columns and no value.
	OpenSource(ctx context.Context, name string, p *programme.Programme) (batchwork.Table, error)
}

// Trust is what verifiers are told.
type Trust interface {
	// Outlook is [issuance.Service.Outlook].
	Outlook(ctx context.Context, most int) (issuance.Outlook, error)
	// Publish signs and publishes bundle and lists now.
	Publish(ctx context.Context, actor string) error
}

// Keys are the signing keys, without their secrets.
type Keys interface {
	Keys(ctx context.Context) ([]keys.Key, error)
	// PlanKey says what the next step of replacing the key of a purpose is. In an emergency
	// the new key need not wait until all verifiers know it.
	PlanKey(ctx context.Context, p keys.Purpose, emergency bool) (keys.Rotation, error)
	// RotateKey takes that step.
	RotateKey(ctx context.Context, p keys.Purpose, emergency bool, actor string) (keys.Rotation, error)
	// CompromiseKey is [issuance.Service.CompromiseKey].
	CompromiseKey(ctx context.Context, id keys.ID, since time.Time, actor string) (keys.Key, error)
}

// errBusy: another page changed the same thing meanwhile.
var errBusy = errors.New("console: somebody else was faster")

// manageRoutes are the pages of managers.
func (c *Console) manageRoutes() []route {
	all := append(c.batchRoutes(), c.revocationRoutes()...)
	all = append(all, c.overviewRoutes()...)
	all = append(all, c.programmeRoutes()...)
	all = append(all, c.sourceRoutes()...)
	all = append(all, c.trustRoutes()...)
	all = append(all, c.keysRoutes()...)
	return all
}

// download sends a file that is made while it is sent. Its name is ours.
func download(w http.ResponseWriter, media, name string) {
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
}

// A decision is a proposal of a programme or a key on its page.
type decision struct {
	Proposal staff.Proposal
	Digest   string
	// Own says that the operator asked for it. May are the buttons.
	Own                        bool
	Approve, Decline, CarryOut bool
	// People by name, where they still work here.
	RequesterName, ApproverName string
	Over                        bool
	Diff                        []diffLine
	Step                        string // of a key
	Purpose                     string
	// Path is where its buttons lead.
	Path string
}

// decide reads the proposal in the address, if it is one of this action and the
// operator may see it.
func (c *Console) decide(r *request, a staff.Action, path string) (decision, error) {
	p, err := c.cfg.Desk.Proposal(r.Context(), r.PathValue("proposal"))
	if errors.Is(err, staff.ErrNoProposal) || err == nil && (p.Action != a || p.Office != r.Office.ID && !r.Operator.Is(staff.Administrator)) {
		return decision{}, errNotFound
	}
	if err != nil {
		return decision{}, away("proposals", err)
	}
	rule, _ := staff.RuleFor(a)
	now := c.now()
	return decision{
		Proposal: p, Digest: hex.EncodeToString(p.Digest[:]), Own: p.Requester == r.Operator.ID,
		Approve:       p.CheckApprove(r.Operator, p.Digest, now) == nil,
		Decline:       p.CheckClose(r.Operator) == nil,
		CarryOut:      p.CheckUse(r.Operator, a, p.Digest, now) == nil,
		RequesterName: c.personName(r, p.Requester), ApproverName: c.personName(r, p.Approver),
		Over: p.State == staff.Done || p.State == staff.Closed || !now.Before(p.Expires),
		Path: path + p.ID,
	}, ruleErr(rule)
}

func ruleErr(r staff.Rule) error {
	if r.Second == "" {
		return errors.New("console: internal error: a decision of one person")
	}
	return nil
}

// shownDigest is the digest that the form of a decision carries.
func shownDigest(r *request) (shown [sha256.Size]byte, err error) {
	f, err := r.readForm()
	if err != nil {
		return shown, err
	}
	b, err := hex.DecodeString(f.Get("digest"))
	if err != nil || len(b) != len(shown) {
		return shown, staff.ErrChangedPayload
	}
	return [sha256.Size]byte(b), nil
}

// approveDecision is the agreement of the second person.
func (c *Console) approveDecision(a staff.Action, path string) func(http.ResponseWriter, *request) error {
	return func(w http.ResponseWriter, r *request) error {
		d, err := c.decide(r, a, path)
		if err != nil {
			return err
		}
		shown, err := shownDigest(r)
		if err != nil {
			return err
		}
		err = c.act(r, deed{r.route.Action, d.Proposal.ID, shown}, func(ctx context.Context) error {
			_, err := c.cfg.Desk.Approve(ctx, d.Proposal.ID, shown, r.Operator, c.now())
			return err
		})
		if err != nil {
			return err
		}
		return c.seeOther(w, r, d.Path[len(Base):], "manage.decision.done.approve")
	}
}

// declineDecision ends a proposal.
func (c *Console) declineDecision(a staff.Action, path string) func(http.ResponseWriter, *request) error {
	return func(w http.ResponseWriter, r *request) error {
		d, err := c.decide(r, a, path)
		if err != nil {
			return err
		}
		err = c.act(r, deed{Action: r.route.Action, Subject: d.Proposal.ID}, func(ctx context.Context) error {
			return c.cfg.Desk.CloseProposal(ctx, d.Proposal.ID, r.Operator, c.now())
		})
		if err != nil {
			return err
		}
		return c.seeOther(w, r, d.Path[len(Base):], "manage.decision.done.decline")
	}
}

// carryOut does what two people agreed on, once.
func (c *Console) carryOut(w http.ResponseWriter, r *request, a staff.Action, path string, do func(ctx context.Context, payload []byte) error) error {
	d, err := c.decide(r, a, path)
	if err != nil {
		return err
	}
	shown, err := shownDigest(r)
	if err != nil {
		return err
	}
	err = c.act(r, deed{a, d.Proposal.ID, shown}, func(ctx context.Context) error {
		p, err := c.cfg.Desk.UseProposal(ctx, d.Proposal.ID, a, shown, r.Operator, c.now())
		if err != nil {
			return err
		}
		return do(ctx, p.Payload)
	})
	if err != nil {
		return err
	}
	return c.seeOther(w, r, d.Path[len(Base):], "manage.decision.done.carry_out")
}

// askSecond stores a proposal and leads to its page.
func (c *Console) askSecond(w http.ResponseWriter, r *request, a staff.Action, path, subject string, payload []byte) error {
	p, err := staff.Propose(a, subject, payload, r.Operator, c.now())
	if err != nil {
		return err
	}
	err = c.act(r, deed{r.route.Action, p.ID, p.Digest}, func(ctx context.Context) error {
		return away("proposals", c.cfg.Desk.SaveProposal(ctx, p))
	})
	if err != nil {
		return err
	}
	return c.seeOther(w, r, path[len(Base):]+p.ID, "manage.decision.done.propose")
}

// openDecisions are those of an action that wait for somebody, the newest first.
func (c *Console) openDecisions(r *request, a staff.Action, path string) ([]decision, error) {
	office := r.Office.ID
	if r.Operator.Is(staff.Administrator) {
		office = ""
	}
	all, err := c.cfg.Desk.Proposals(r.Context(), office, []staff.State{staff.Proposed, staff.Approved}, a)
	if err != nil {
		return nil, away("proposals", err)
	}
	var open []decision
	for _, p := range all {
		if c.now().Before(p.Expires) {
			open = append(open, decision{Proposal: p, Path: path + p.ID, RequesterName: c.personName(r, p.Requester)})
		}
	}
	return open, nil
}

// A diffLine is one line of a comparison: Op is "-", "+" or " ", and "…" for lines that
// are left out because nothing changed there.
type diffLine struct {
	Op, Text string
}

// diff compares two texts line by line, with two lines around each change.
func diff(old, next []byte) []diffLine {
	split := func(b []byte) []string {
		return strings.Split(strings.TrimSuffix(string(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))), "\n"), "\n")
	}
	a, b := split(old), split(next)
	if len(old) == 0 {
		a = nil
	}
	const most = 4000 // lines of both; a programme has a few hundred
	if len(a)+len(b) > most {
		return []diffLine{{"…", ""}}
	}
	var all []diffLine
	longest := commonLengths(a, b)
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			all = append(all, diffLine{" ", a[i]})
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || longest[i+1][j] >= longest[i][j+1]):
			all = append(all, diffLine{"-", a[i]})
			i++
		default:
			all = append(all, diffLine{"+", b[j]})
			j++
		}
	}
	return around(all, 2)
}

// commonLengths is the table of the longest common subsequence of the rests.
func commonLengths(a, b []string) [][]uint16 {
	t := make([][]uint16, len(a)+1)
	for i := range t {
		t[i] = make([]uint16, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				t[i][j] = t[i+1][j+1] + 1
			} else {
				t[i][j] = max(t[i+1][j], t[i][j+1])
			}
		}
	}
	return t
}

// around leaves out what is further from a change than n lines.
func around(all []diffLine, n int) []diffLine {
	keep := make([]bool, len(all))
	for i, l := range all {
		if l.Op != " " {
			for j := max(0, i-n); j < min(len(all), i+n+1); j++ {
				keep[j] = true
			}
		}
	}
	var some []diffLine
	for i, l := range all {
		switch {
		case keep[i]:
			some = append(some, l)
		case i == 0 || keep[i-1]:
			some = append(some, diffLine{"…", ""})
		}
	}
	return some
}

// sortedKeys are the keys of a map of labels.
func sortedKeys[V any](m map[string]V) []string {
	all := make([]string, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}
