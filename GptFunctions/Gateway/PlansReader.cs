using System.Collections.Frozen;
using System.Text.Json;
using GptFunctions.Plans;

namespace GptFunctions.Gateway;

/// <summary>Turns <c>plans</c> and <c>defaultPlan</c> into a table, or into sentences that say what is wrong in which line.</summary>
internal sealed class PlansReader
{
    private readonly Dictionary<string, FrozenDictionary<string, int>> plans = new(StringComparer.Ordinal);
    private readonly List<(int Line, string Text)> problems = [];
    private (int Line, string? Name) defaultPlan;

    public PlanTable Table => new(plans.ToFrozenDictionary(StringComparer.Ordinal), defaultPlan.Name);

    /// <param name="json">The file that the object was parsed from.</param>
    public void Read(ConfigObject source, byte[] json)
    {
        foreach (var plan in source.Members)
        {
            if (plan.Name.Length == 0 || plan.Value.ValueKind != JsonValueKind.Object)
            {
                problems.Add((plan.Line, $"the plan '{plan.Name}' must have a name and be an object such as {{ \"applications\": 5 }}."));
                continue;
            }

            var amounts = new Dictionary<string, int>(StringComparer.Ordinal);
            foreach (var amount in new ConfigObject(plan.Value, json).Members)
            {
                if (!RouteReader.IsName(amount.Name))
                {
                    problems.Add((amount.Line, $"the quota '{amount.Name}' must be 1 to 64 letters, digits, '_' or '-', beginning with a letter."));
                    continue;
                }

                if (Units(amount.Value) is not { } units)
                {
                    problems.Add((amount.Line, $"{plan.Name}.{amount.Name} must be a whole number, or -1 for no limit, not {amount.Value.GetRawText()}."));
                    continue;
                }

                amounts[amount.Name] = units;
            }

            plans[plan.Name] = amounts.ToFrozenDictionary(StringComparer.Ordinal);
        }
    }

    public void ReadDefault(ConfigMember member) => defaultPlan = (member.Line, member.Value.GetString());

    public IEnumerable<(int Line, string Text)> Problems => defaultPlan.Name is { } name && !plans.ContainsKey(name)
        ? problems.Append((defaultPlan.Line, $"defaultPlan: there is no plan '{name}'; there are {Listed(plans.Keys)}."))
        : problems;

    private static int? Units(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var units) && units >= PlanTable.Unlimited ? units : null;

    private static string Listed(IEnumerable<string> names) => string.Join(", ", names.Order(StringComparer.Ordinal)) is { Length: > 0 } list ? list : "none";
}
