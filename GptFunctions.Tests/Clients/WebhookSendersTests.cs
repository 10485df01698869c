using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;
using GptFunctions.Tests.Webhooks;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Clients;

/// <summary>The senders' own libraries sign, we verify: npm svix, standardwebhooks and stripe.</summary>
public sealed class WebhookSendersTests(WebhookFixture<WebhookSendersTests> fixture) : IClassFixture<WebhookFixture<WebhookSendersTests>>
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Webhooks_signed_by_the_senders_libraries_are_accepted_and_changed_ones_are_not()
    {
        var user = WebhookSender.NewId("user");
        var created = Events.User("user.created", user, 1_700_000_000_000, firstName: "Zoë 漢字 😀").ToJsonString();
        var updated = " \n" + Events.User("user.updated", user, 1_700_000_000_001, "new@example.com").ToJsonString();
        var paid = Events.Checkout(1_700_000_000, null, WebhookSender.NewId("cus"), user, "pro").ToJsonString();
        (string Library, string Secret, string Path, string Body)[] deliveries =
        [
            ("svix", WebhookSender.ClerkSecret, "/webhooks/clerk", created),
            ("standardwebhooks", WebhookSender.OtherClerkSecret, "/webhooks/clerk", updated),
            ("stripe", WebhookSender.StripeSecret, "/webhooks/stripe", paid),
        ];
        var input = new JsonArray(
            [.. deliveries.Select(delivery => new JsonArray(delivery.Library, delivery.Secret, WebhookSender.NewId("msg"), delivery.Body))]);
        var output = await ClientPackages.RunWithInputAsync(Patience, input.ToJsonString(), "webhooks.mjs");

        foreach (var (delivery, headers) in deliveries.Zip(JsonElement.Parse(output).EnumerateArray().Select(Headers)))
        {
            var refused = await fixture.Sender.PostAsync(delivery.Path, Encoding.UTF8.GetBytes(delivery.Body + " "), headers);
            Assert.Equal((delivery.Library, HttpStatusCode.BadRequest, "Invalid webhook signature"), (delivery.Library, refused.Status, refused.Error));
            var accepted = await fixture.Sender.PostAsync(delivery.Path, Encoding.UTF8.GetBytes(delivery.Body), headers);
            Assert.Equal((delivery.Library, """{"received":true}"""), (delivery.Library, accepted.Text));
        }

        Assert.Equal(
            "new@example.com pro active",
            await fixture.App.Database.ScalarAsync<string>("SELECT concat_ws(' ', email, plan, plan_status) FROM users WHERE clerk_user_id = $1", user));
    }

    private static (string, string)[] Headers(JsonElement headers) =>
        [.. headers.EnumerateObject().Select(header => (header.Name, header.Value.GetString()!))];
}
