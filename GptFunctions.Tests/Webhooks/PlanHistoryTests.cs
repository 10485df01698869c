using System.Globalization;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>A gateway whose app knows the senders' secrets.</summary>
public sealed class GatewayWithWebhooks : GatewayFixture<PlanHistoryTests>
{
    internal WebhookSender Sender => new(App.Http);

    protected override IEnumerable<KeyValuePair<string, string?>> Settings => WebhookSender.Settings;
}

/// <summary>
/// Random histories of two users, two customers and three subscriptions, delivered in random order and some of it twice: the plan that the gateway tells
/// its upstream is the one of <see cref="PlanModel"/>, which is written from webhooks.md 15 and 16 and knows nothing of the tables. FsCheck's message has
/// the seed.
/// </summary>
public sealed class PlanHistoryTests(GatewayWithWebhooks fixture) : IClassFixture<GatewayWithWebhooks>
{
    private const int Histories = 60;
    private static int run;
    private static int plans;

    [Fact]
    public async Task Gateway_tells_the_plan_of_the_model_after_any_history()
    {
        var step = Gen.Choose(0, 12).Zip(Gen.Choose(0, 2)).Zip(Gen.Choose(-2, 1))
            .Select(drawn => new PlanStep(drawn.Item1.Item1, drawn.Item1.Item2, drawn.Item2));
        var histories = step.ListOf(14).Zip(Gen.Choose(0, int.MaxValue - 1)).Select(drawn => new PlanHistory([.. drawn.Item1], drawn.Item2));
        var property = Prop.ForAll(Arb.From(histories), history => CompareAsync(history).GetAwaiter().GetResult());
        await Task.Run(() => Check.One(Config.QuickThrowOnFailure.WithMaxTest(Histories), property));
        Assert.InRange(plans, Histories / 4, Histories * 2); // the histories lead somewhere
    }

    private async Task<bool> CompareAsync(PlanHistory history)
    {
        var prefix = "h" + Interlocked.Increment(ref run).ToString(CultureInfo.InvariantCulture);
        var users = new[] { await fixture.Users.AddAsync(prefix + "user0"), await fixture.Users.AddAsync(prefix + "user1") };
        var model = new PlanModel();
        foreach (var news in history.Deliveries(prefix))
        {
            model.Apply(news);
            Assert.Equal("""{"received":true""", (await fixture.Sender.StripeAsync(news.ToEvent())).Text[..16]);
        }

        foreach (var user in users)
        {
            var expected = model.PlanOf(user.Subject);
            plans += expected[0] == ' ' ? 0 : 1;
            var told = "";
            try
            {
                await Wait.UntilAsync(async () => (told = await ToldAsync(user)) == expected, TimeSpan.FromSeconds(3)); // the notice may take a moment
            }
            catch (Xunit.Sdk.XunitException)
            {
                Assert.Fail($"{user.Subject}: expected '{expected}', the gateway told '{told}'. {history}\n{string.Join('\n', history.Deliveries(prefix))}");
            }
        }

        return true;
    }

    private async Task<string> ToldAsync(GatewayUser user)
    {
        await fixture.App.Database.ExecuteAsync("DELETE FROM rate_limits");
        var echo = await fixture.App.Http.EchoAsync(user);
        return $"{echo["x-gpt-plan"]} {echo["x-gpt-plan-status"]}";
    }
}

/// <summary>Something that happens to one of three subscriptions.</summary>
/// <param name="Named">The user who is named: 0, 1, or (below zero) nobody.</param>
internal sealed record PlanStep(int Kind, int Subscription, int Named);

/// <summary>The steps, and a seed that decides which customer has which subscription, which steps share a second, and how they arrive.</summary>
internal sealed record PlanHistory(List<PlanStep> Steps, int Seed)
{
    public override string ToString() => $"seed {Seed}: {string.Join(' ', Steps.Select(step => $"{step.Kind}/{step.Subscription}/{step.Named}"))}";

    public List<PlanNews> Deliveries(string prefix)
    {
        var random = new Random(Seed);
        var customers = Enumerable.Range(0, 3).Select(_ => $"{prefix}cus{random.Next(2)}").ToArray();
        var second = 1_700_000_000L;
        var news = new List<PlanNews>();
        foreach (var (step, index) in Steps.Select((step, index) => (step, index)))
        {
            second += random.Next(2);
            var kind = step.Kind switch
            {
                0 or 1 => NewsKind.Checkout,
                2 or 3 => NewsKind.UnpaidCheckout,
                4 => NewsKind.Created,
                5 or 6 or 7 => NewsKind.Updated,
                8 or 9 => NewsKind.Deleted,
                10 => NewsKind.InvoiceFailed,
                11 => NewsKind.InvoicePaid,
                _ => NewsKind.Purchase,
            };
            // Subscriptions seldom name a user, and invoices never do here.
            var isNaming = kind is NewsKind.Checkout or NewsKind.UnpaidCheckout or NewsKind.Purchase || step.Kind == 7;
            var named = isNaming && step.Named >= 0 ? $"{prefix}user{step.Named}" : null;
            var status = random.Next(6) switch { 0 => "trialing", 1 => "past_due", 2 => "incomplete", 3 => "unpaid", _ => "active" };
            var id = kind == NewsKind.Purchase ? $"{prefix}x{index:00}" : $"{prefix}s{step.Subscription}";
            news.Add(new PlanNews($"{prefix}evt{index}", kind, id, customers[step.Subscription], named, $"plan{index}", status, second));
        }

        news.AddRange(news.Where(_ => random.Next(5) == 0).ToList()); // delivered twice
        var arrival = news.ToArray();
        if (random.Next(3) > 0)
        {
            random.Shuffle(arrival);
        }

        return [.. arrival];
    }
}

internal enum NewsKind
{
    Checkout,
    UnpaidCheckout,
    Purchase,
    Created,
    Updated,
    Deleted,
    InvoicePaid,
    InvoiceFailed,
}

/// <summary>One event. A purchase is a paid checkout without a subscription.</summary>
internal sealed record PlanNews(string EventId, NewsKind Kind, string Id, string Customer, string? Named, string Plan, string Status, long At)
{
    public JsonObject ToEvent()
    {
        var body = Kind switch
        {
            NewsKind.Created => Events.Subscription("created", At, Id, Customer, Status, Plan, Named),
            NewsKind.Updated => Events.Subscription("updated", At, Id, Customer, Status, Plan, Named),
            NewsKind.Deleted => Events.Subscription("deleted", At, Id, Customer, plan: Plan),
            NewsKind.InvoicePaid => Events.Invoice("paid", At, Id, Customer),
            NewsKind.InvoiceFailed => Events.Invoice("payment_failed", At, Id, Customer),
            NewsKind.Purchase => Events.Checkout(At, null, Customer, Named, Plan),
            _ => Events.Checkout(At, Id, Customer, Named, Plan),
        };
        body["id"] = EventId;
        var data = body["data"]!["object"]!;
        if (Kind == NewsKind.Purchase)
        {
            data["id"] = Id;
        }

        if (Kind == NewsKind.UnpaidCheckout)
        {
            data["payment_status"] = "unpaid";
        }

        return body;
    }
}

/// <summary>
/// Whose plan is which, said in a few rules. A customer belongs to whoever was first named for anything that the customer has, and stays theirs. What a
/// customer buys is their user's. Of all that a user has, the best in standing counts, then the newest.
/// </summary>
internal sealed class PlanModel
{
    private static readonly string[] Live = ["active", "trialing", "past_due"];
    private readonly HashSet<string> seen = [];
    private readonly Dictionary<string, string> owners = []; // customer -> user
    private readonly Dictionary<string, Thing> things = [];

    public void Apply(PlanNews news)
    {
        if (!seen.Add(news.EventId))
        {
            return;
        }

        if (!things.TryGetValue(news.Id, out var thing))
        {
            thing = new Thing(news.Customer);
        }

        if (!thing.Take(news))
        {
            return;
        }

        things[news.Id] = thing;
        if (news is { Named: { } user, Kind: not NewsKind.UnpaidCheckout })
        {
            owners.TryAdd(news.Customer, user);
        }
    }

    public string PlanOf(string user)
    {
        var best = things.Where(pair => owners.GetValueOrDefault(pair.Value.Customer) == user && pair.Value.NewestAt > 0)
            .OrderBy(pair => Array.IndexOf(Live, pair.Value.Standing) is var rank and >= 0 ? rank : Live.Length)
            .ThenByDescending(pair => pair.Value.NewestAt)
            .ThenByDescending(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => pair.Value).FirstOrDefault();
        return best is null ? " " : $"{(Live.Contains(best.Standing) ? best.Plan : "")} {best.Standing}";
    }

    private sealed class Thing(string customer)
    {
        private string? plan;
        private string? fallbackPlan;
        private string? status;
        private long statusAt;
        private long orderedAt;
        private bool? isPaid;
        private long paymentAt;
        private long invoiceAt;
        private bool hasEnded;

        public string Customer => customer;

        public string? Plan => plan ?? fallbackPlan;

        public long NewestAt => Math.Max(statusAt, paymentAt);

        /// <summary>The subscription's own word, corrected by a payment that is not older and says something new about it.</summary>
        public string Standing
        {
            get
            {
                var isPaymentNewer = paymentAt > 0 && paymentAt >= statusAt;
                return hasEnded ? "canceled"
                    : isPaymentNewer && isPaid == true && (status is null or "incomplete" or "past_due" or "unpaid") ? "active"
                    : isPaymentNewer && isPaid == false && (status is null or "active" or "trialing") ? "past_due"
                    : status ?? "incomplete";
            }
        }

        /// <summary>False when something newer of its kind came before.</summary>
        public bool Take(PlanNews news)
        {
            switch (news.Kind)
            {
                case NewsKind.Checkout or NewsKind.Purchase or NewsKind.UnpaidCheckout:
                    fallbackPlan ??= news.Plan;
                    if (news.Kind != NewsKind.UnpaidCheckout)
                    {
                        Pay(news.At, true);
                    }

                    return true;
                case NewsKind.InvoicePaid or NewsKind.InvoiceFailed:
                    if (news.At < invoiceAt)
                    {
                        return false;
                    }

                    invoiceAt = news.At;
                    Pay(news.At, news.Kind == NewsKind.InvoicePaid);
                    return true;
                default:
                    if (hasEnded || (news.Kind != NewsKind.Deleted && (news.At < orderedAt || (news.At == orderedAt && news.Kind == NewsKind.Created))))
                    {
                        return false;
                    }

                    (orderedAt, statusAt, plan, status) = (news.At, news.At, news.Plan, news.Status);
                    hasEnded = news.Kind == NewsKind.Deleted;
                    return true;
            }
        }

        private void Pay(long at, bool paid)
        {
            if (at >= paymentAt)
            {
                (paymentAt, isPaid) = (at, paid);
            }
        }
    }
}
