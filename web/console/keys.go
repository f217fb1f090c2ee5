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
		post("keys_use", "/key-changes/{proposal}/use", staff.ChangeKeys, c.rotateKey),
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
		plan, err := c.cfg.Manage.Keys.PlanKey(r.Context(), p)
		if err != nil {
			return away("keys", err)
		}
		next := rotationOf(p, plan)
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
	plan, err := c.cfg.Manage.Keys.PlanKey(r.Context(), p)
	if err != nil {
		return away("keys", err)
	}
	if plan.Step != keys.StepGenerate && plan.Step != keys.StepActivate {
		return errBusy // it is not its time
	}
	payload, err := json.Marshal(rotationOf(p, plan))
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
	return c.render(w, r, http.StatusOK, "keys_decision", struct {
		decision
		Next string
	}{d, step.Next})
}

// rotateKey takes the step that two people agreed on, if it still is the next one.
func (c *Console) rotateKey(w http.ResponseWriter, r *request) error {
	return c.carryOut(w, r, staff.ChangeKeys, keysPath, func(ctx context.Context, payload []byte) error {
		var agreed rotation
		if err := json.Unmarshal(payload, &agreed); err != nil {
			return fmt.Errorf("a proposal about keys: %w", err)
		}
		plan, err := c.cfg.Manage.Keys.PlanKey(ctx, agreed.Purpose)
		if err != nil {
			return away("keys", err)
		}
		if rotationOf(agreed.Purpose, plan) != agreed {
			return errBusy
		}
		_, err = c.cfg.Manage.Keys.RotateKey(ctx, agreed.Purpose, r.Operator.ID)
		if errors.Is(err, keys.ErrTransition) {
			return errBusy
		}
		return err
	})
}
