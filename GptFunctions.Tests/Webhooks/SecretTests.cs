using System.Net;
using System.Text;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>webhooks.md 4: without a secret Development accepts, warns and marks; Production says at start which is missing and answers 503.</summary>
public sealed class SecretTests(AppFixture<SecretTests> fixture) : IClassFixture<AppFixture<SecretTests>>
{
    private readonly TestApp app = fixture.App;

    [Theory]
    [InlineData("clerk", """{"type":"email.created","data":{}}""")]
    [InlineData("stripe", """{"id":"evt_1","type":"customer.created","created":1,"data":{"object":{}}}""")]
    [InlineData("verification", """{"id":"ver_1","event":"verification.submitted"}""")]
    [InlineData("orders", """{"id":"whe_1","event":"order.touched"}""")]
    public async Task Development_without_a_secret_accepts_warns_and_marks(string source, string body)
    {
        var answer = await new WebhookSender(app.Http).PostAsync("/webhooks/" + source, Encoding.UTF8.GetBytes(body), ("svix-id", "msg_unsigned"));

        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
        Assert.Equal(["true"], answer.Headers.GetValues("X-Webhook-Unverified"));
        Assert.Contains(app.Log.Lines, line => line.StartsWith(
            $"Warning 5002 Webhook of {source} accepted without a signature, because {source.ToUpperInvariant()}_WEBHOOK_SECRET is not set",
            StringComparison.Ordinal));
    }

    [Fact]
    public async Task Verified_answer_is_not_marked()
    {
        await using var signed = await app.StartReplicaAsync([.. WebhookSender.Settings.Select(setting => (setting.Key, setting.Value))]);
        var answer = await new WebhookSender(signed.Http).StripeAsync(Events.Stripe("customer.created", 1, []));
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.False(answer.Headers.Contains("X-Webhook-Unverified"));
    }

    [Fact]
    public async Task Production_without_a_secret_names_it_at_start_and_answers_503()
    {
        await using var process = await AppProcess.StartAsync(Production(("STRIPE_WEBHOOK_SECRET", WebhookSender.StripeSecret)));
        var sender = new WebhookSender(process.Http);

        foreach (var source in (string[])["clerk", "verification", "orders"])
        {
            var setting = $"{source.ToUpperInvariant()}_WEBHOOK_SECRET";
            Assert.Contains(process.Output, line => line.Contains($"{setting} is not set: POST /webhooks/{source} answers 503", StringComparison.Ordinal));
            var body = """{"id":"x","event":"x","type":"x","data":{}}""";
            var answer = await sender.PostAsync(
                "/webhooks/" + source,
                Encoding.UTF8.GetBytes(body),
                [("X-Signature", WebhookSender.Hex("", body)), .. WebhookSender.SvixHeaders("msg_production", body)]);
            Assert.Equal((HttpStatusCode.ServiceUnavailable, "300"), (answer.Status, answer.Headers.RetryAfter?.ToString()));
            Assert.Equal(0, await app.Database.CountAsync("webhook_events", $"source = '{source}' AND event_id IN ('x x', 'msg_production')"));
        }

        Assert.DoesNotContain(process.Output, line => line.Contains("STRIPE_WEBHOOK_SECRET", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.OK, (await sender.StripeAsync(Events.Stripe("customer.created", 1, []))).Status);
    }

    [Fact]
    public async Task Clerk_secret_that_is_none_stops_the_start()
    {
        var (exitCode, _, error) = await AppProcess.RunAsync(Production(("CLERK_WEBHOOK_SIGNING_SECRET", "whsec_not-base64")), "webhooks", "list");
        Assert.Equal(78, exitCode);
        Assert.Contains("CLERK_WEBHOOK_SECRET holds a value that is no signing secret", error, StringComparison.Ordinal);
        Assert.DoesNotContain("not-base64", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Clerks_own_name_of_the_setting_works_beside_ours()
    {
        await using var replica = await app.StartReplicaAsync(
            ("CLERK_WEBHOOK_SECRET", WebhookSender.OtherClerkSecret), ("CLERK_WEBHOOK_SIGNING_SECRET", WebhookSender.ClerkSecret));
        var sender = new WebhookSender(replica.Http);
        Assert.Equal(HttpStatusCode.OK, (await sender.ClerkAsync(Events.UserDeleted(null, 1))).Status);
    }

    /// <summary>A rotation needs no restart. A value that can be no secret is reported, and the last good one stays in force.</summary>
    [Fact]
    public async Task Secret_whose_file_changes_is_taken_over_and_one_that_is_none_is_not()
    {
        var secrets = Directory.CreateTempSubdirectory("secrets-").FullName;
        Mount(WebhookSender.OtherClerkSecret);
        await using var replica = await app.StartReplicaAsync(("SECRETS_PATH", secrets));
        Assert.Equal(HttpStatusCode.BadRequest, await DeliverAsync());

        Mount($"{WebhookSender.OtherClerkSecret} {WebhookSender.ClerkSecret}");
        await Wait.UntilAsync(async () => await DeliverAsync() == HttpStatusCode.OK);

        Mount("whsec_not-base64");
        await Wait.UntilAsync(() => replica.Log.Lines.Any(line => line.StartsWith("Error 1030", StringComparison.Ordinal)
            && line.Contains("CLERK_WEBHOOK_SECRET holds a value that is no signing secret", StringComparison.Ordinal)));
        Assert.Equal(HttpStatusCode.OK, await DeliverAsync());
        Assert.DoesNotContain(replica.Log.Lines, line => line.Contains("not-base64", StringComparison.Ordinal));

        async Task<HttpStatusCode> DeliverAsync()
        {
            var answer = await new WebhookSender(replica.Http).ClerkAsync(Events.UserDeleted(null, 1));
            Assert.False(answer.Headers.Contains("X-Webhook-Unverified"));
            return answer.Status;
        }

        // At once, as Kubernetes does: an empty file would be no secret.
        void Mount(string secret)
        {
            File.WriteAllText(Path.Combine(secrets, ".new"), secret);
            File.Move(Path.Combine(secrets, ".new"), Path.Combine(secrets, "clerk-webhook-secret"), overwrite: true);
        }
    }

    private Dictionary<string, string?> Production(params (string Key, string? Value)[] more) => app.Settings.With(
    [
        new("AZURE_FUNCTIONS_ENVIRONMENT", "Production"), new("PUBLIC_BASE_URL", "https://api.example.com"), new("RABBITMQ_URL", "amqp://127.0.0.1:1"),
        new("CLERK_ISSUER", "https://clerk.example.com"), new("CLERK_OAUTH_CLIENT_ID", "id"), new("CLERK_OAUTH_CLIENT_SECRET", "secret"),
        new("CLERK_AUTHORIZED_PARTIES", "https://app.example.com"),
        .. more.Select(setting => KeyValuePair.Create(setting.Key, setting.Value)),
    ]);
}
