<?php
// Hands in one bill run and one batch over HTTP, with PHP 8. Needs BILLRUNNER_URL and BILLRUNNER_API_KEY.

const RESELLER = '0199a000-0000-7000-8000-000000000001';

function event(string $id, string $provider, string $billingPeriod): array
{
    $data = ['reseller_id' => RESELLER, 'provider' => $provider, 'billing_period' => $billingPeriod, 'run_id' => 'monthly'];
    $source = getenv('BILLRUNNER_SOURCE') ?: 'shop';
    return ['specversion' => '1.0', 'id' => $id, 'source' => $source, 'type' => 'billrunner.bill_run.start.v1', 'data' => $data];
}

/** Sends until there is an answer, which is safe: the same id is the same job. */
function post(string $mediaType, array $body): array
{
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => ['Authorization: Bearer ' . getenv('BILLRUNNER_API_KEY'), "Content-Type: $mediaType"],
        'content' => json_encode($body),
        'timeout' => 30,
        'ignore_errors' => true,
    ]]);
    for ($attempt = 0; $attempt < 5; $attempt++) {
        $wait = 2 ** $attempt;
        $http_response_header = [];
        $answer = @file_get_contents(getenv('BILLRUNNER_URL') . '/v1/jobs', false, $context);
        if ($answer !== false) {
            $status = (int) explode(' ', $http_response_header[0])[1];
            if (!in_array($status, [408, 429, 502, 503, 504])) {
                return [$status, json_decode($answer, true)];
            }
            foreach ($http_response_header as $header) {
                if (stripos($header, 'Retry-After:') === 0) {
                    $wait = (int) substr($header, strlen('Retry-After:'));
                }
            }
        }
        sleep($wait);
    }
    fail('billrunner does not answer');
}

function fail(string $message): never
{
    fwrite(STDERR, "$message\n");
    exit(1);
}

function handIn(string $what, array $event): void
{
    [$status, $answer] = post('application/cloudevents+json', $event);
    echo "$what: ", match ($status) {
        202 => 'accepted',
        200 => 'accepted before',
        409 => 'conflict, the id was used for another payload',
        default => fail("$what: refused: {$answer['detail']}"),
    }, "\n";
}

handIn('first', event('php-1', 'aws', '2026-08'));
handIn('repeat', event('php-1', 'aws', '2026-08'));
handIn('other', event('php-1', 'aws', '2026-09'));

$batch = [event('php-2', 'google', '2026-08'), event('php-3', 'aws', '2026-13')];
[$status, $answer] = post('application/cloudevents-batch+json', $batch);
if ($status !== 200) {
    fail("batch: refused: {$answer['detail']}");
}
echo 'batch: statuses ', implode(' ', array_column($answer['results'], 'status')), "\n";
