//go:build js

package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"syscall/js"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/web/scanner/engine"
)

// desk runs the operations of a counter: counter, set, draft, question, key, key-code, diary,
// restore-diary, tally, clear, uploads, pending, uploaded.
func desk(e *engine.Engine, text func(int) string, args []js.Value) (any, error) {
	words := i18n.For(text(1))
	nothing := map[string]any{}
	switch text(0) {
	case "counter":
		return e.Counter(words), nil
	case "set":
		var c engine.Counter
		if err := json.Unmarshal([]byte(text(2)), &c); err != nil {
			return nil, err
		}
		return e.SetCounter(c, words), nil
	case "draft":
		point, err := data(args, 2, 65)
		if err != nil {
			return nil, err
		}
		return e.Draft(point)
	case "question":
		signature, err := data(args, 2, 64)
		if err != nil {
			return nil, err
		}
		return e.Question(signature)
	case "key":
		return map[string]string{"key": engine.NewOnceKey()}, nil
	case "key-code":
		return e.OnceCode()
	case "diary":
		b, err := e.Diary()
		return map[string]string{"diary": string(b)}, err
	case "restore-diary":
		return nothing, e.RestoreDiary([]byte(text(2)))
	case "tally":
		return e.Tally(words), nil
	case "clear":
		e.ClearDiary()
		return nothing, nil
	case "uploads":
		e.Uploads(text(2) == "yes")
		return nothing, nil
	case "pending":
		return e.Pending(), nil
	case "uploaded":
		weight, err := strconv.Atoi(text(3))
		if err != nil {
			return nil, err
		}
		return nothing, e.Uploaded(text(2), weight, []byte(text(4)))
	}
	return nil, fmt.Errorf("no operation %.32q", text(0))
}
