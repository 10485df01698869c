using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace GptFunctions.Hosting;

/// <summary>One function as its attributes describe it.</summary>
/// <param name="Create">Makes an instance for one invocation; null for a static method.</param>
internal sealed partial record FunctionDescriptor(string Name, MethodInfo Method, ParameterInfo TriggerParameter, Attribute Trigger, ObjectFactory? Create)
{
    /// <summary>The function cannot run as it is written or configured: stops the start with a sentence, like a setting that is wrong.</summary>
    public OptionsValidationException Refusal(string reason) => new(Name, Method.DeclaringType!, [$"The function {Name} cannot run: {reason}."]);

    /// <summary>A trigger's text with each <c>%NAME%</c> replaced by the setting of that name.</summary>
    public string Resolve(string text, IConfiguration configuration) =>
        Placeholder().Replace(
            text,
            match => configuration[match.Groups["name"].Value] is { Length: > 0 } value ? value : throw Refusal($"{match.Groups["name"].Value} is not set"));

    [GeneratedRegex("%(?<name>[^%]+)%", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Placeholder();
}

/// <summary>Finds the functions of assemblies, in the order in which the Functions host tries them: by name.</summary>
internal static class FunctionCatalog
{
    public static IReadOnlyList<FunctionDescriptor> Find(IEnumerable<Assembly> assemblies, IConfiguration configuration)
    {
        return [.. assemblies.SelectMany(assembly => assembly.GetTypes())
            .SelectMany(type => type.GetMethods())
            .Where(method => method.IsDefined(typeof(FunctionAttribute)))
            .Select(Describe)
            .Where(function => IsEnabled(configuration, function.Name))
            .OrderBy(function => function.Name, StringComparer.OrdinalIgnoreCase)];
    }

    /// <summary>
    /// Whether this process runs a function, by the Functions host's own settings: the allow-list AzureFunctionsJobHost__functions__0=Name,
    /// __1=Name, ... (empty means all), and AzureWebJobs.Name.Disabled=true.
    /// </summary>
    public static bool IsEnabled(IConfiguration configuration, string name)
    {
        var allowed = configuration.GetSection("AzureFunctionsJobHost:functions").GetChildren().Select(child => child.Value!).ToList();
        return (allowed.Count == 0 || allowed.Contains(name, StringComparer.OrdinalIgnoreCase))
            && !configuration.GetValue<bool>($"AzureWebJobs.{name}.Disabled");
    }

    private static FunctionDescriptor Describe(MethodInfo method)
    {
        var name = method.GetCustomAttribute<FunctionAttribute>()!.Name;
        foreach (var parameter in method.GetParameters())
        {
            if (parameter.GetCustomAttributes().FirstOrDefault(
                attribute => attribute is HttpTriggerAttribute or TimerTriggerAttribute or RabbitMQTriggerAttribute) is { } trigger)
            {
                return new FunctionDescriptor(
                    name, method, parameter, trigger, method.IsStatic ? null : ActivatorUtilities.CreateFactory(method.DeclaringType!, []));
            }
        }

        throw new InvalidOperationException($"The function {name} has no trigger that the standalone host knows.");
    }
}
