// Hands in one bill run and one batch over HTTP, with Java 17 or later: java Producer.java
// Needs BILLRUNNER_URL and BILLRUNNER_API_KEY.

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

public class Producer {
    static final String SOURCE = System.getenv().getOrDefault("BILLRUNNER_SOURCE", "shop");
    static final String RESELLER = "0199a000-0000-7000-8000-000000000001";
    static final HttpClient HTTP = HttpClient.newHttpClient();

    // The standard library has no JSON; these values need no escaping.
    static String event(String id, String provider, String billingPeriod) {
        return """
            {"specversion": "1.0", "id": "%s", "source": "%s", "type": "billrunner.bill_run.start.v1",
             "data": {"reseller_id": "%s", "provider": "%s", "billing_period": "%s", "run_id": "monthly"}}
            """.formatted(id, SOURCE, RESELLER, provider, billingPeriod);
    }

    /** Sends until there is an answer, which is safe: the same id is the same job. */
    static HttpResponse<String> post(String mediaType, String body) throws InterruptedException {
        var request = HttpRequest.newBuilder(URI.create(System.getenv("BILLRUNNER_URL") + "/v1/jobs"))
            .header("Authorization", "Bearer " + System.getenv("BILLRUNNER_API_KEY"))
            .header("Content-Type", mediaType)
            .timeout(Duration.ofSeconds(30))
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build();
        for (int attempt = 0; attempt < 5; attempt++) {
            long seconds = 1L << attempt;
            try {
                var answer = HTTP.send(request, HttpResponse.BodyHandlers.ofString());
                if (!Set.of(408, 429, 502, 503, 504).contains(answer.statusCode())) return answer;
                seconds = answer.headers().firstValueAsLong("Retry-After").orElse(seconds);
            } catch (IOException error) {
                System.err.println("no answer: " + error.getMessage());
            }
            Thread.sleep(seconds * 1000);
        }
        throw new IllegalStateException("billrunner does not answer");
    }

    static void handIn(String what, String event) throws InterruptedException {
        var answer = post("application/cloudevents+json", event);
        System.out.println(what + ": " + switch (answer.statusCode()) {
            case 202 -> "accepted";
            case 200 -> "accepted before";
            case 409 -> "conflict, the id was used for another payload";
            default -> throw new IllegalStateException("refused: " + answer.body());
        });
    }

    public static void main(String[] arguments) throws InterruptedException {
        handIn("first", event("java-1", "aws", "2026-08"));
        handIn("repeat", event("java-1", "aws", "2026-08"));
        handIn("other", event("java-1", "aws", "2026-09"));

        var batch = "[" + event("java-2", "google", "2026-08") + "," + event("java-3", "aws", "2026-13") + "]";
        var answer = post("application/cloudevents-batch+json", batch);
        if (answer.statusCode() != 200) throw new IllegalStateException("batch: refused: " + answer.body());
        var statuses = Pattern.compile("\\{\"status\":(\\d+)").matcher(answer.body()).results()
            .map(result -> result.group(1)).collect(Collectors.joining(" "));
        System.out.println("batch: statuses " + statuses);
    }
}
