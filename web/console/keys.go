package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/staff"
)

const keysPath = Base + "/key-changes/"

// keysRoutes are the pages of the signing keys.
func (c *Console) keysRoutes() []route {
	if c.cfg.Manage.Keys == nil {
		return nil
	}
	return []route{
		get("keys", "/keys", staff.ViewKeys, c.keys).in("manage.nav.keys"),
		post("keys_propose", "/keys/propose", staff.ProposeKeys, c.proposeKeys),
		get("keys_decision", "/key-changes/{proposal}", staff.ViewKeys, c.keysDecision),
		post("keys_approve", "/key-changes/{proposal}/approve", staff.ApproveKeys, c.approveDecision(staff.ChangeKeys, keysPath)),
		post("keys_decline", "/key-changes/{proposal}/decline", staff.ApproveKeys, c.declineDecision(staff.ChangeKeys, keysPath)),
		post("keys_use", "/key-changes/{proposal}/use", staff.ChangeKeys, c.changeKey),
		get("key_stolen", "/keys/stolen", staff.ProposeKeys, c.stolenKey),
		post("key_stolen_propose", "/keys/stolen", staff.ProposeKeys, c.proposeStolen),
	}
}

// rotated are the purposes whose keys are replaced here. Roots are kept elsewhere.
var rotated = []keys.Purpose{keys.Credential, keys.StatusList, keys.Metadata, keys.TrustBundle, keys.Audit}

// A keyRow is one key: where it stands and what happened to it, never its secret.
type keyRow struct {
	ID, Purpose, Algorithm, State, Tag                          string
	Created, Published, SignFrom, SignUntil, VerifyUntil, Since time.Time
}

var keyTags = map[keys.State]string{keys.Active: "good", keys.Planned: "wait", keys.Compromised: "bad"}

// A keyStep is what comes next in replacing the key of a purpose.
type keyStep struct {
	Purpose, Step string
	Next          string // the key's id
	Ready         time.Time
	// Can says that somebody can do it now.
	Can bool
}

// A rotation is what two people agree on: one step for one purpose.
type rotation struct {
	Purpose keys.Purpose `json:"purpose"`
	Step    keys.Step    `json:"step"`
	// Next is the key that is to sign, empty if it is to be made.
	Next string `json:"next"`
	// Emergency says that it need not wait until verifiers know it: the key before it
	// was stolen, and none signs.
	Emergency bool `json:"emergency,omitempty"`
	// Stolen is set for the other thing that is done to keys: this one is marked as known
	// to others since Since, and one is made in its place if there is none.
	Stolen string    `json:"stolen,omitempty"`
	Since  time.Time `json:"since,omitzero"`
}

// plan is the next step for a purpose.
func (c *Console) plan(ctx context.Context, p keys.Purpose) (rotation, keys.Rotation, error) {
	all, err := c.cfg.Manage.Keys.Keys(ctx)
	if err != nil {
		return rotation{}, keys.Rotation{}, away("keys", err)
	}
	emergency := noneSigns(all, p)
	plan, err := c.cfg.Manage.Keys.PlanKey(ctx, p, emergency)
	if err != nil {
		return rotation{}, plan, away("keys", err)
	}
	next := rotationOf(p, plan)
	next.Emergency = emergency
	return next, plan, nil
}

// noneSigns reports whether the key that signed for a purpose was stolen and no other
// signs yet.
func noneSigns(all []keys.Key, p keys.Purpose) bool {
	stolen := false
	for _, k := range all {
		if k.Purpose == p && k.State == keys.Active {
			return false
		}
		stolen = stolen || k.Purpose == p && k.State == keys.Compromised
	}
	return stolen
}

func rotationOf(p keys.Purpose, plan keys.Rotation) rotation {
	next := rotation{Purpose: p, Step: plan.Step}
	if !plan.Next.Public.IsZero() {
		next.Next = plan.Next.ID().String()
	}
	return next
}

// keys shows all keys and the next steps.
func (c *Console) keys(w http.ResponseWriter, r *request) error {
	all, err := c.cfg.Manage.Keys.Keys(r.Context())
	if err != nil {
		return away("keys", err)
	}
	data := struct {
		Keys  []keyRow
		Steps []keyStep
		Open  []decision
	}{}
	slices.SortStableFunc(all, func(a, b keys.Key) int {
		return cmp.Or(cmp.Compare(a.Purpose, b.Purpose), b.Created.Compare(a.Created))
	})
	have := map[keys.Purpose]bool{}
	for _, k := range all {
		have[k.Purpose] = true
		data.Keys = append(data.Keys, keyRow{
			k.ID().String(), string(k.Purpose), string(k.Public.Algorithm()), string(k.State), keyTags[k.State],
			k.Created, k.Published, k.SignFrom, k.SignUntil, k.VerifyUntil, k.CompromisedSince,
		})
	}
	for _, p := range rotated {
		if !have[p] {
			continue
		}
		next, plan, err := c.plan(r.Context(), p)
		if err != nil {
			return err
		}
		data.Steps = append(data.Steps, keyStep{
			string(p), string(plan.Step), next.Next, plan.Ready, plan.Step == keys.StepGenerate || plan.Step == keys.StepActivate,
		})
	}
	if data.Open, err = c.openDecisions(r, staff.ChangeKeys, keysPath); err != nil {
		return err
	}
	return c.render(w, r, http.StatusOK, "keys", data)
}

// proposeKeys asks a second person for the next step of one purpose.
func (c *Console) proposeKeys(w http.ResponseWriter, r *request) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	p := keys.Purpose(f.Get("purpose"))
	if !slices.Contains(rotated, p) {
		return errNotFound
	}
	next, _, err := c.plan(r.Context(), p)
	if err != nil {
		return err
	}
	if next.Step != keys.StepGenerate && next.Step != keys.StepActivate {
		return errBusy // it is not its time
	}
	payload, err := json.Marshal(next)
	if err != nil {
		return err
	}
	return c.askSecond(w, r, staff.ChangeKeys, keysPath, "key-"+string(p), payload)
}

// keysDecision shows what would be done to which key.
func (c *Console) keysDecision(w http.ResponseWriter, r *request) error {
	d, err := c.decide(r, staff.ChangeKeys, keysPath)
	if err != nil {
		return err
	}
	var step rotation
	if err := json.Unmarshal(d.Proposal.Payload, &step); err != nil {
		return fmt.Errorf("a proposal about keys: %w", err)
	}
	d.Step, d.Purpose = string(step.Step), string(step.Purpose)
	view := struct {
		decision
		Next      string
		Emergency bool
		Theft     *theft
	}{decision: d, Next: step.Next, Emergency: step.Emergency}
	if step.Stolen != "" {
		if view.Theft, err = c.theft(r, step, d.Proposal.Decided); err != nil {
			return err
		}
	}
	return c.render(w, r, http.StatusOK, "keys_decision", view)
}

// changeKey does what two people agreed on.
func (c *Console) changeKey(w http.ResponseWriter, r *request) error {
	return c.carryOut(w, r, staff.ChangeKeys, keysPath, func(ctx context.Context, payload []byte) error {
		var agreed rotation
		if err := json.Unmarshal(payload, &agreed); err != nil {
			return fmt.Errorf("a proposal about keys: %w", err)
		}
		if agreed.Stolen != "" {
			return c.markStolen(ctx, r, agreed)
		}
		return c.rotateKey(ctx, r, agreed)
	})
}

// rotateKey takes the step that two people agreed on, if it still is the next one.
func (c *Console) rotateKey(ctx context.Context, r *request, agreed rotation) error {
	next, _, err := c.plan(ctx, agreed.Purpose)
	if err != nil {
		return err
	}
	if next != agreed {
		return errBusy
	}
	_, err = c.cfg.Manage.Keys.RotateKey(ctx, agreed.Purpose, agreed.Emergency, r.Operator.ID)
	if errors.Is(err, keys.ErrTransition) {
		return errBusy
	}
	return err
}
