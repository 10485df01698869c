using System.Net;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;
using GptFunctions.Verification;

namespace GptFunctions.Tests.Verification;

/// <summary>The life of an order: opened, reminded of, decided or expired, and what others are told of it.</summary>
public sealed class OrderLifeTests : IAsyncLifetime
{
    private OrderBench bench = null!;

    public async Task InitializeAsync() => bench = await OrderBench.StartAsync(nameof(OrderLifeTests));

    public async Task DisposeAsync() => await bench.DisposeAsync();

    [Fact]
    public async Task Order_that_nobody_decides_is_reminded_of_and_then_its_refund_is_due_and_told_once()
    {
        var order = await bench.OrderAsync();
        await bench.RunAsync();
        Assert.Empty(await bench.Receiver.ReceivedAsync());

        await bench.PassAsync(order, "24 hours");
        await bench.RunAsync();
        Assert.Equal("pending_verification", await bench.StatusAsync(order));
        Assert.Single(await bench.Database.EventsAsync("gpt.countdown.verification_reminder", "order_id", order));

        await bench.PassAsync(order, "48 hours");
        await bench.RunAsync();
        await bench.RunAsync();
        Assert.Equal("refund_due", await bench.StatusAsync(order));
        Assert.Single(await bench.Database.EventsAsync("gpt.countdown.verification_expired", "order_id", order));

        var received = await bench.Receiver.ReceivedAsync();
        Assert.Equal(["verification.reminder", "verification.refund_due"], received.Select(callback => callback["body"]!["type"]!.GetValue<string>()));
        Assert.All(received, callback =>
        {
            Assert.True(callback["verified"]![0]!.GetValue<bool>());
            Assert.Equal(("POST", "application/json"), (callback["method"]!.GetValue<string>(), callback["type"]!.GetValue<string>()));
        });
        var data = received[1]["body"]!["data"]!;
        Assert.Equal((order, "customer@example.com", 49.9m), (
            data["order_id"]!.GetValue<string>(), data["customer_email"]!.GetValue<string>(), data["order_total"]!.GetValue<decimal>()));
        Assert.NotNull(data["deadline"]);
        Assert.NotNull(data["decided_at"]);
        var countdown = await bench.Database.ScalarAsync<Guid>(
            $"SELECT id FROM countdowns WHERE subject = '{order}' AND kind = '{VerificationExpiry.KindName}'");
        Assert.Equal(countdown.ToString(), received[1]["id"]!.GetValue<string>());
        Assert.Equal(2, await bench.Database.CountAsync("countdowns", $"subject = '{order}' AND status = 'completed'"));
        Assert.Single(await bench.Database.EventsAsync("gpt.countdown.callback_sent", "callback_id", countdown.ToString()));
    }

    [Theory]
    [InlineData("approved", "verified")]
    [InlineData("declined", "declined")]
    public async Task Decision_calls_both_countdowns_off_and_stands(string decision, string status)
    {
        var order = await bench.OrderAsync();
        Assert.Equal(HttpStatusCode.OK, (await bench.DecideAsync(order, decision)).Status);
        Assert.Equal(2, await bench.Database.CountAsync("countdowns", $"subject = '{order}' AND status = 'cancelled'"));

        var contrary = await bench.DecideAsync(order, decision == "approved" ? "declined" : "approved");
        Assert.Equal((HttpStatusCode.OK, order, status), (contrary.Status, contrary["orderId"], contrary["status"]));
        await bench.PassAsync(order, "100 hours");
        await bench.RunAsync();
        Assert.Equal(status, await bench.StatusAsync(order));
        Assert.Equal((null, null), await bench.CallbackAsync(order));
    }

    [Theory]
    [InlineData("approved")]
    [InlineData("declined")]
    public async Task Decision_after_the_deadline_is_410_and_changes_nothing(string decision)
    {
        var order = await bench.OrderAsync();
        await bench.PassAsync(order, "73 hours");
        Assert.Equal(HttpStatusCode.Gone, (await bench.DecideAsync(order, decision)).Status); // before the dispatcher looked
        await bench.RunAsync();
        Assert.Equal(HttpStatusCode.Gone, (await bench.DecideAsync(order, decision)).Status);
        Assert.Equal("refund_due", await bench.StatusAsync(order));
    }

    /// <summary>Its own time is before the deadline, and it takes effect after the expiry.</summary>
    [Fact]
    public async Task Decision_that_waited_for_the_expiry_is_410()
    {
        var order = await bench.OrderAsync();
        await using var connection = await bench.Database.Source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var expire = new Npgsql.NpgsqlCommand(
            $"UPDATE verification_sessions SET status = 'refund_due', decided_at = now() WHERE order_id = '{order}'", connection, transaction))
        {
            await expire.ExecuteNonQueryAsync();
        }

        var deciding = bench.DecideAsync(order, "approved");
        await Wait.UntilAsync(async () => await bench.Database.ScalarAsync<bool>(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"));
        await transaction.CommitAsync();

        Assert.Equal(HttpStatusCode.Gone, (await deciding).Status);
        Assert.Equal("refund_due", await bench.StatusAsync(order));
        Assert.Equal(0, await bench.Database.CountAsync("webhook_events", "source = 'verification'"));
    }

    [Fact]
    public async Task Repeat_of_a_decision_that_was_in_time_is_200_after_the_deadline()
    {
        var order = await bench.OrderAsync();
        await bench.DecideAsync(order, "approved");
        await bench.PassAsync(order, "73 hours");
        Assert.Equal(HttpStatusCode.OK, (await bench.DecideAsync(order, "approved")).Status);
    }

    [Fact]
    public async Task Reminder_that_was_not_sent_before_the_decision_is_not_sent_after_it()
    {
        var order = await bench.OrderAsync();
        await bench.Receiver.BehaveAsync("500");
        await bench.PassAsync(order, "24 hours");
        await bench.RunAsync();
        await bench.DecideAsync(order, "approved");
        await bench.Receiver.BehaveAsync("ok");
        await bench.Database.ExecuteAsync("UPDATE verification_callbacks SET next_attempt_at = now()");
        await bench.RunAsync();
        Assert.Equal(("skipped", "the order was decided meanwhile"), await bench.CallbackAsync(order));
        Assert.Single(await bench.Receiver.ReceivedAsync());
    }

    [Fact]
    public async Task Order_is_shown_to_whoever_has_the_service_key()
    {
        var order = await bench.OrderAsync();
        var pending = await ReadAsync(order, OrderBench.ServiceKey);
        Assert.Equal((HttpStatusCode.OK, "pending_verification"), (pending.Status, pending.Body!["status"]!.GetValue<string>()));
        Assert.InRange(pending.Body["hoursRemaining"]!.GetValue<double>(), 71.9, 72);
        Assert.NotNull(pending.Body["deadline"]);

        await bench.PassAsync(order, "72 hours");
        await bench.RunAsync();
        var due = (await ReadAsync(order, OrderBench.ServiceKey)).Body!;
        Assert.Equal("refund_due", due["status"]!.GetValue<string>());
        Assert.Null(due["hoursRemaining"]);
        Assert.Contains(due["callbacks"]!.AsArray(), callback => callback!["status"]!.GetValue<string>() == "sent");
        Assert.DoesNotContain("customer@example.com", due.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await ReadAsync("no-such-order", OrderBench.ServiceKey)).Status);
        Assert.All(
            await Task.WhenAll(
                ReadAsync(order, null), ReadAsync(order, ""), ReadAsync(order, OrderBench.ServiceKey + "x"), ReadAsync("no-such-order", "wrong")),
            answer => Assert.Equal(HttpStatusCode.Unauthorized, answer.Status));
    }

    private async Task<(HttpStatusCode Status, JsonNode? Body)> ReadAsync(string order, string? key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"/verifications/{order}", UriKind.Relative));
        if (key is not null)
        {
            request.Headers.TryAddWithoutValidation("X-Service-Key", key);
        }

        using var response = await bench.App.Http.SendAsync(request);
        return (response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync()));
    }
}
