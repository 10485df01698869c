using System.Collections.Frozen;
using GptFunctions.Identity;
using GptFunctions.Plans;

namespace GptFunctions.Tests.Plans;

/// <summary>countdowns.md 16: whose plan gives how much.</summary>
public sealed class PlanTableTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 31, 23, 59, 59, TimeSpan.Zero);
    private static readonly TimeSpan Grace = TimeSpan.FromDays(7);

    [Theory]
    [InlineData(null, null, null, 0)]
    [InlineData("free", "active", null, 5)]
    [InlineData("free", "trialing", null, 5)]
    [InlineData("pro", "active", null, -1)]
    [InlineData("closed", "active", null, 0)]
    [InlineData("other", "active", null, 0)] // does not name it
    [InlineData("unknown", "active", null, 0)]
    [InlineData("pro", null, null, 0)]
    [InlineData("pro", "canceled", null, 0)]
    [InlineData("pro", "unpaid", null, 0)]
    [InlineData("pro", "paused", null, 0)]
    [InlineData("pro", "incomplete", null, 0)]
    [InlineData("pro", "past_due", 0.0, -1)]
    [InlineData("pro", "past_due", 6.99, -1)]
    [InlineData("pro", "past_due", 7.0, 0)]
    [InlineData("pro", "past_due", 30.0, 0)]
    [InlineData("pro", "past_due", null, -1)] // no payment is known to have failed
    public void Amount_follows_from_plan_and_standing(string? plan, string? status, double? daysPastDue, int amount)
    {
        var user = new InternalUser(Guid.NewGuid(), plan, status, daysPastDue is { } days ? Now - TimeSpan.FromDays(days) : null, false);

        Assert.Equal(amount, Table(null).AmountOf(user, "applications", Now, Grace));
    }

    [Fact]
    public void Default_plan_is_that_of_people_without_one_and_of_nobody_else()
    {
        var table = Table("free");

        Assert.Equal(5, table.AmountOf(new(Guid.NewGuid(), null, null, null, false), "applications", Now, Grace));
        Assert.Equal(5, table.AmountOf(new(Guid.NewGuid(), null, "canceled", null, false), "applications", Now, Grace)); // has left, as anybody may
        Assert.Equal(0, table.AmountOf(new(Guid.NewGuid(), "pro", "unpaid", null, false), "applications", Now, Grace));
        Assert.Equal(0, table.AmountOf(new(Guid.NewGuid(), "unknown", "active", null, false), "applications", Now, Grace));
    }

    private static PlanTable Table(string? defaultPlan) => new(
        new Dictionary<string, FrozenDictionary<string, int>>(StringComparer.Ordinal)
        {
            ["free"] = Amounts(("applications", 5)),
            ["pro"] = Amounts(("applications", -1)),
            ["closed"] = Amounts(("applications", 0)),
            ["other"] = Amounts(("exports", 5)),
        }.ToFrozenDictionary(StringComparer.Ordinal), defaultPlan);

    private static FrozenDictionary<string, int> Amounts(params (string Quota, int Amount)[] amounts) =>
        amounts.ToFrozenDictionary(item => item.Quota, item => item.Amount, StringComparer.Ordinal);
}
