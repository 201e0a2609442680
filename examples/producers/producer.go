// Hands in one bill run and one batch over HTTP, with Go: go run producer.go
// Needs BILLRUNNER_URL and BILLRUNNER_API_KEY.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

const reseller = "0199a000-0000-7000-8000-000000000001"

type object = map[string]any

func event(id, provider, billingPeriod string) object {
	source := os.Getenv("BILLRUNNER_SOURCE")
	if source == "" {
		source = "shop"
	}
	data := object{"reseller_id": reseller, "provider": provider, "billing_period": billingPeriod, "run_id": "monthly"}
	return object{"specversion": "1.0", "id": id, "source": source, "type": "billrunner.bill_run.start.v1", "data": data}
}

// post sends until there is an answer, which is safe: the same id is the same job.
func post(mediaType string, body any) (int, []byte) {
	encoded, err := json.Marshal(body)
	if err != nil {
		log.Fatal(err)
	}
	client := http.Client{Timeout: 30 * time.Second}
	for attempt := 0; attempt < 5; attempt++ {
		wait := 1 << attempt
		request, err := http.NewRequest("POST", os.Getenv("BILLRUNNER_URL")+"/v1/jobs", bytes.NewReader(encoded))
		if err != nil {
			log.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+os.Getenv("BILLRUNNER_API_KEY"))
		request.Header.Set("Content-Type", mediaType)
		answer, err := client.Do(request)
		if err == nil {
			read, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			switch answer.StatusCode {
			case 408, 429, 502, 503, 504:
				if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
					wait = seconds
				}
			default:
				if err == nil {
					return answer.StatusCode, read
				}
			}
		} else {
			log.Print("no answer: ", err)
		}
		time.Sleep(time.Duration(wait) * time.Second)
	}
	log.Fatal("billrunner does not answer")
	return 0, nil
}

func handIn(what string, event object) {
	status, answer := post("application/cloudevents+json", event)
	switch status {
	case 202:
		fmt.Println(what + ": accepted")
	case 200:
		fmt.Println(what + ": accepted before")
	case 409:
		fmt.Println(what + ": conflict, the id was used for another payload")
	default:
		log.Fatalf("%s: refused: %s", what, answer)
	}
}

func main() {
	handIn("first", event("go-1", "aws", "2026-08"))
	handIn("repeat", event("go-1", "aws", "2026-08"))
	handIn("other", event("go-1", "aws", "2026-09"))

	batch := []object{event("go-2", "google", "2026-08"), event("go-3", "aws", "2026-13")}
	status, answer := post("application/cloudevents-batch+json", batch)
	var results struct{ Results []struct{ Status int } }
	if err := json.Unmarshal(answer, &results); err != nil || status != 200 {
		log.Fatalf("batch: refused: %s", answer)
	}
	fmt.Print("batch: statuses")
	for _, result := range results.Results {
		fmt.Print(" ", result.Status)
	}
	fmt.Println()
}
