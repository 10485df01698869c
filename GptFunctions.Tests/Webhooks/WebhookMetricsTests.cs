using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>"Metrics per source and outcome, duration."</summary>
public sealed class WebhookMetricsTests(WebhookFixture<WebhookMetricsTests> fixture) : IClassFixture<WebhookFixture<WebhookMetricsTests>>
{
    [Fact]
    public async Task Deliveries_are_counted_and_timed_by_source_and_outcome()
    {
        var counted = new ConcurrentQueue<string>();
        var timed = new ConcurrentQueue<(string Tags, double Seconds)>();
        using var listener = new MeterListener();
        var mine = fixture.App.Get<GptFunctions.Webhooks.WebhookMetrics>();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (mine.Owns(instrument))
            {
                self.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) => counted.Enqueue(Text(tags) + " " + value));
        listener.SetMeasurementEventCallback<double>((_, value, tags, _) => timed.Enqueue((Text(tags), value)));
        listener.Start();
        var user = WebhookSender.NewId("user");

        await fixture.Sender.ClerkAsync(Events.User("user.created", user, 1_700_000_000_000), "msg_metrics");
        await fixture.Sender.ClerkAsync(Events.User("user.created", user, 1_700_000_000_000), "msg_metrics");
        await fixture.Sender.ClerkAsync(Events.User("user.updated", user, 1_600_000_000_000));
        await fixture.Sender.StripeAsync(Events.Stripe("customer.created", 1, []));
        await fixture.Sender.PostAsync("/webhooks/orders", "{}"u8.ToArray());
        await fixture.Sender.PostAsync("/webhooks/verification", "{}"u8.ToArray(), ("X-Signature", "00"));

        string[] expected =
        [
            "clerk completed", "clerk duplicate", "clerk skipped_stale", "stripe ignored", "orders missing_headers", "verification invalid_signature",
        ];
        Assert.Equal(expected.Select(tags => tags + " 1"), counted);
        Assert.Equal(expected, timed.Select(measurement => measurement.Tags));
        Assert.All(timed, measurement => Assert.InRange(measurement.Seconds, 0, 10));
    }

    private static string Text(ReadOnlySpan<KeyValuePair<string, object?>> tags) => string.Join(' ', tags.ToArray().Select(tag => tag.Value));
}
