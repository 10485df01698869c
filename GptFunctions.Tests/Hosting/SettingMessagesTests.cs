using System.Globalization;
using System.Reflection;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tests.Hosting;

/// <summary>Every number among the settings has a lowest and a highest value, and each refusal names both; what must be there says what to do.</summary>
public sealed class SettingMessagesTests
{
    private static readonly MethodInfo ReadMethod = typeof(TestSettings).GetMethod(nameof(TestSettings.Problems))!;

    public static TheoryData<string> Numbers { get; } =
        [.. Properties().Where(property => property.PropertyType == typeof(int)).Select(property => Setting(property).Name)];

    [Theory]
    [MemberData(nameof(Numbers))]
    public void Number_that_is_refused_is_answered_with_the_values_that_are_taken(string name)
    {
        var property = Assert.Single(Properties(), property => Setting(property).Name == name);
        var (least, most) = (Setting(property).Least, Setting(property).Most);
        Assert.True(least < most, name + " lacks its lowest and highest value.");

        foreach (var taken in (int[])[least, most])
        {
            Assert.DoesNotContain(
                Refusals(property, taken.ToString(CultureInfo.InvariantCulture)),
                problem => problem.StartsWith($"{name} must be between", StringComparison.Ordinal));
        }

        foreach (var refused in (string[])[Text(least - 1L), Text(most + 1L), "99999999999999999999", "1.5", "some"])
        {
            var problem = Assert.Single(
                Refusals(property, refused),
                problem => problem.StartsWith($"{name} must be ", StringComparison.Ordinal) && problem.Contains(" between ", StringComparison.Ordinal));
            Assert.Matches($@"^{name} must be (?:a whole number )?between {least} and {most}(?: [a-z]+)?\.$", problem);
        }

        static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
    }

    [Fact]
    public void Setting_that_is_missing_is_answered_with_what_to_do()
    {
        Assert.True(Numbers.Count > 10);
        var required = Properties().Where(property => Setting(property).Missing is not null).ToList();
        Assert.True(required.Count > 10);
        Assert.All(required, property =>
            Assert.Contains($"{Setting(property).Name} is missing: {Setting(property).Missing}.", Refusals(property, null)));
    }

    /// <summary>What is read once is the same for all until the restart; what may change meanwhile is secret, and asked for anew.</summary>
    [Fact]
    public void Keys_and_only_keys_are_taken_from_a_monitor()
    {
        var taken = typeof(ISettings).Assembly.GetTypes()
            .SelectMany(type => type.GetConstructors(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
            .SelectMany(constructor => constructor.GetParameters()).Select(parameter => parameter.ParameterType)
            .Where(type => type.IsConstructedGenericType && type.GenericTypeArguments[0].IsAssignableTo(typeof(ISettings)))
            .Where(type => type.GetGenericTypeDefinition() is var generic && (generic == typeof(IOptions<>) || generic == typeof(IOptionsMonitor<>)))
            .Distinct().ToList();
        Assert.True(taken.Count > 10);
        Assert.All(taken, type => Assert.Equal(
            type.GenericTypeArguments[0].IsAssignableTo(typeof(IKeys)), type.GetGenericTypeDefinition() == typeof(IOptionsMonitor<>)));
        Assert.All(SettingsTable.All.Where(row => row.Class.IsAssignableTo(typeof(IKeys))), row => Assert.True(row.Setting.IsSecret));
    }

    private static IEnumerable<PropertyInfo> Properties() =>
        typeof(ISettings).Assembly.GetTypes().SelectMany(type => type.GetProperties())
            .Where(property => property.GetCustomAttribute<SettingAttribute>() is not null);

    private static SettingAttribute Setting(PropertyInfo property) => property.GetCustomAttribute<SettingAttribute>()!;

    /// <summary>All that is wrong with this one setting given, the missing ones included.</summary>
    private static IReadOnlyList<string> Refusals(PropertyInfo property, string? value) =>
        (IReadOnlyList<string>)ReadMethod.MakeGenericMethod(property.DeclaringType!).Invoke(null, [true, new[] { (Setting(property).Name, value) }])!;
}
